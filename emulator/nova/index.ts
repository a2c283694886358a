import { cinder } from "../cinder";
import { defineService, type ServiceContext } from "../core/definition";
import { keystone } from "../keystone";
import { novaControls } from "./control";
import { novaData } from "./data";
import { NovaModel, type NovaTimings } from "./model";
import { NovaService } from "./service";

const TIMINGS: NovaTimings = { assistedCreate: 400, assistedDelete: 1000 };

export const nova = defineService({
  displayName: "OpenStack",
  timings: TIMINGS,
  model: ({ clock, ids, timings, use }: ServiceContext<NovaTimings>) =>
    new NovaModel(clock, ids, timings, use(cinder).model),
  service: (model, { ids, use }) => new NovaService(model, use(cinder).model, use(keystone).model, ids),
  data: ({ use }) => novaData(() => use(cinder).model),
  controls: (model, { use }) => novaControls(model, use(cinder).model),
});
