// Discovery: the list of versions needs no token, the rest does (docs/wire/openstack.md#a4).

import { type EmulatorRequest, json, type Reply } from "../../core/http";
import type { KeystoneModel } from "../../keystone/model";
import { authenticated, type Microversions } from "../../openstack/wsgi";
import { versionsView } from "../views";

export interface VersionContext {
  readonly request: EmulatorRequest;
  readonly keystone: KeystoneModel;
  readonly versions: Microversions;
  /** `http://host/volume` */
  readonly base: string;
}

export type VersionHandler = (context: VersionContext) => Reply;

export const listVersions: VersionHandler = ({ base, versions }) => json(300, versionsView(base, versions));

export const showVersion: VersionHandler = ({ base, versions, keystone, request }) =>
  authenticated(keystone, request, () => json(200, versionsView(base, versions)));

export const redirectToVersion: VersionHandler = ({ base, keystone, request }) =>
  authenticated(keystone, request, () => ({
    status: 302,
    headers: { "Content-Type": "text/plain; charset=UTF-8", Location: `${base}/v3/` },
    body: "",
  }));
