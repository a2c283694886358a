// A CinderClient against responses that a test writes.

import { CinderClient } from "../../../provider/openstack/cinder";
import { KeystoneSession } from "../../../provider/openstack/keystone";
import {
  type Call,
  type Cloud,
  fakeClock,
  isLogin,
  PROJECT,
  type Reply,
  settingsFor,
  startCloud,
  tokenReply,
} from "./openstackContext";

export const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";

export const VOLUME = "808d0720-70a7-4e92-8dff-d516ff6dce06";

export const versions = (max: string, id = "v3.0"): Reply => ({
  status: 300,
  body: {
    versions: [
      { id, status: "CURRENT", version: max, min_version: "3.0", links: [{ rel: "self", href: "http://x/" }] },
    ],
  },
});

export const NO_ROUTE: Reply = {
  status: 404,
  body: { message: "The resource could not be found.<br /><br />\n\n\n", code: "404 Not Found", title: "Not Found" },
};

export const fault = (status: number, name: string, message: string, more: object = {}): Reply => ({
  status,
  body: { [name]: { code: status, message, ...more } },
});

const endings: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

/** A Cinder that lists its versions. The test writes every other response. */
export async function cinderOf(
  answer: (call: Call) => Reply | Promise<Reply>,
  { max = "3.70", endpoint = "/v3" }: { max?: string; endpoint?: string } = {},
): Promise<{ cinder: CinderClient; cloud: Cloud; sent: () => Call[] }> {
  const cloud = await startCloud((call) => {
    if (isLogin(call)) return tokenReply("token-1");
    return call.path === "/" && max !== "" ? versions(max) : answer(call);
  });
  const changes = { endpointOverride: { blockStorage: `${cloud.url}${endpoint}` } };
  const session = new KeystoneSession(settingsFor(cloud.url, changes), { clock: fakeClock() });
  endings.push(
    () => session.close(),
    () => cloud.close(),
  );
  return {
    cinder: new CinderClient(session),
    cloud,
    sent: () => cloud.calls.filter((call) => call.path.includes(PROJECT)),
  };
}
