import { toyCopy } from "../../kill/cases/toyCopy";
import { killTests } from "../../kill/parallelRunner";
import { planFromEnvironment } from "../../kill/plan";
import { describeEngine } from "../harness";

describeEngine("kills of ToyCopy", () => {
  killTests({ resource: toyCopy, plan: planFromEnvironment(toyCopy, 2), workers: 2 });
});
