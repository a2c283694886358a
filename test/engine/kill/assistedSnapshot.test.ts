import { assistedSnapshot } from "../../kill/cases/assistedSnapshot";
import { killTests } from "../../kill/parallelRunner";
import { planFromEnvironment } from "../../kill/plan";
import { describeEngine } from "../harness";

describeEngine("kills of AssistedSnapshot", () => {
  killTests({ resource: assistedSnapshot, plan: planFromEnvironment(assistedSnapshot, 2), workers: 2 });
});
