// A KeystoneSession against responses that a test writes.

import type { OpenStackSettings } from "../../../provider/openstack/connection";
import { KeystoneSession } from "../../../provider/openstack/keystone";
import { type Call, type Cloud, fakeClock, type Reply, settingsFor, startCloud } from "./openstackContext";

export const UNAUTHORIZED: Reply = {
  status: 401,
  headers: { "www-authenticate": 'Keystone uri="http://127.0.0.1:5000/v3"' },
  body: { error: { code: 401, message: "The request you have made requires authentication.", title: "Unauthorized" } },
};

const endings: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

export async function cloudOf(answer: (call: Call, cloud: () => Cloud) => Reply | Promise<Reply>): Promise<Cloud> {
  const cloud: Cloud = await startCloud((call) => answer(call, () => cloud));
  endings.push(() => cloud.close());
  return cloud;
}

export function sessionOf(
  cloud: Cloud,
  changes: Partial<OpenStackSettings> = {},
  clock = fakeClock(),
): KeystoneSession {
  const session = new KeystoneSession(settingsFor(cloud.url, changes), { clock });
  endings.unshift(() => session.close());
  return session;
}

export const override = (cloud: Cloud) => ({ endpointOverride: { blockStorage: `${cloud.url}/v3` } });
