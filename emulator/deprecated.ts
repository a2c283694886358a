// Names of the last release on `Emulator`, kept for one release.

import type { Credentials } from "./core/definition";
import type { OpenStackConnection } from "./openstack/credentials";
import type { PowerVcConnection } from "./powervc";
import type { Handles } from "./services";
import type { ViprConnection } from "./vipr";
import type { ViprAuth } from "./vipr/auth";
import type { ZStackConnection } from "./zstack";

export interface DeprecatedNames {
  /** @deprecated Use `openstack.authUrl`. */
  readonly authUrl: string;
  /** @deprecated Use `openstack.connection("admin")` and `openstack.env("admin")`. */
  readonly admin: Credentials<OpenStackConnection>;
  /** @deprecated Use `vipr`. */
  readonly viprLogin: Credentials<ViprConnection>;
  /** @deprecated Use `vipr.auth`. */
  readonly viprAuth: ViprAuth;
  /** @deprecated Use `zstack`. */
  readonly zstackLogin: Credentials<ZStackConnection>;
  /** @deprecated Use `powervc`. */
  readonly powervcLogin: Credentials<PowerVcConnection>;
  /** @deprecated Use `openstack.connection`. */
  connection(): OpenStackConnection;
  /** @deprecated Use `openstack.env`. */
  env(): Record<string, string>;
}

export function deprecatedNames({ openstack, powervc, vipr, zstack }: Handles): DeprecatedNames {
  return {
    authUrl: openstack.authUrl,
    admin: { connection: () => openstack.connection("admin"), env: () => openstack.env("admin") },
    viprLogin: vipr,
    viprAuth: vipr.auth,
    zstackLogin: zstack,
    powervcLogin: powervc,
    connection: () => openstack.connection(),
    env: () => openstack.env(),
  };
}
