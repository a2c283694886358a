import { cinder } from "../cinder";
import { type Credentials, defineService, type ServiceContext } from "../core/definition";
import { keystone } from "../keystone";
import { type OpenStackConnection, openstackCredentials } from "../openstack/credentials";
import { powervcControls } from "./control";
import { powervcData } from "./data";
import { PowerVcModel } from "./model";
import { PowerVcService } from "./service";

export interface PowerVcTimings {
  /** Each step of PowerVC's clone flow. */
  cloneStep: number;
}

export interface PowerVcConnection extends Omit<OpenStackConnection, "kind"> {
  kind: "powervc";
}

const TIMINGS: PowerVcTimings = { cloneStep: 200 };

export const powervc = defineService({
  displayName: "PowerVC",
  timings: TIMINGS,
  model: ({ clock, ids, timings, use }: ServiceContext<PowerVcTimings>) =>
    new PowerVcModel(clock, ids, use(cinder).model, () => timings.cloneStep),
  service: (model, { ids, use }) => {
    const behind = { keystone: use(keystone).service, cinder: use(cinder).service };
    return new PowerVcService(model, use(cinder).model, use(keystone).model, behind, ids);
  },
  controls: powervcControls,
  data: ({ use }) => powervcData(() => ({ cinder: use(cinder).model, keystone: use(keystone).model })),
  // PowerVC stands in front of the same Keystone: IBM's own powervcrc sets OS_* (docs/wire/powervc.md#f3).
  credentials: (url, _, { use }): Credentials<PowerVcConnection> => {
    const authUrl = `${url}/powervc/openstack/identity/v3`;
    const { env, connection } = openstackCredentials(authUrl, use(keystone).model);
    return { env, connection: (user) => ({ ...connection(user), kind: "powervc" }) };
  },
});
