// A client of the provider for an emulated OpenStack, opened as the connection of a resource opens it.

import type { Clock } from "../../provider/core/util/clock";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { OpenStackContext } from "../../provider/openstack/context";
import { KeystoneSession } from "../../provider/openstack/keystone";

/** `config`: an entry of the stack configuration, as `emulator.openstack.connection()` gives it. */
export function connectOpenStack(config: unknown, clock: Clock): OpenStackContext {
  const settings = resolveOpenStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
  return new OpenStackContext(new KeystoneSession(settings, { clock }), clock);
}
