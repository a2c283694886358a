import { defineService, type ServiceContext } from "../core/definition";
import { data } from "./data";
import { KeystoneModel } from "./model";
import { KeystoneService } from "./service";

export interface KeystoneTimings {
  tokenLife: number;
}

const TIMINGS: KeystoneTimings = { tokenLife: 3_600_000 };

export const keystone = defineService({
  displayName: "OpenStack",
  timings: TIMINGS,
  model: ({ clock, ids, timings }: ServiceContext<KeystoneTimings>) =>
    new KeystoneModel(clock, ids, () => timings.tokenLife),
  data: () => data,
  service: (model, { clock, ids }) => new KeystoneService(model, ids, clock),
  tokens: {
    header: "X-Auth-Token",
    revoke: (model, token) => model.revoke(token),
    revokeAll: (model) => model.revokeAll(),
  },
});
