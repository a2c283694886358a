import { clonedVm } from "../../kill/cases/clonedVm";
import { killTests } from "../../kill/parallelRunner";
import { planFromEnvironment } from "../../kill/plan";
import { describeEngine } from "../harness";

describeEngine("kills of ClonedVm", () => {
  killTests({ resource: clonedVm, plan: planFromEnvironment(clonedVm, 2), workers: 2 });
});
