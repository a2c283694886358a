import { linkedTargetSet } from "../../kill/cases/linkedTargetSet";
import { killTests } from "../../kill/parallelRunner";
import { planFromEnvironment } from "../../kill/plan";
import { describeEngine } from "../harness";

describeEngine("kills of LinkedTargetSet", () => {
  killTests({ resource: linkedTargetSet, plan: planFromEnvironment(linkedTargetSet, 2), workers: 2 });
});
