import { defineService } from "../core/definition";
import { keystone } from "../keystone";
import { glanceControls } from "./control";
import { data } from "./data";
import { GlanceModel, SEED_IMAGE } from "./model";
import { GlanceService } from "./service";

export const glance = defineService({
  displayName: "OpenStack",
  timings: {},
  model: ({ clock, ids, use }) => new GlanceModel(clock, ids, () => use(keystone).model.projectNamed("demo").id),
  service: (model, { ids, use }) => new GlanceService(model, use(keystone).model, ids),
  controls: glanceControls,
  data: () => data,
  seed: [`image     cirros ${SEED_IMAGE} (20 MiB, active)`],
});
