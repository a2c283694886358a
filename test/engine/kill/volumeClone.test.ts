import { volumeClone } from "../../kill/cases/volumeClone";
import { killTests } from "../../kill/parallelRunner";
import { planFromEnvironment } from "../../kill/plan";
import { describeEngine } from "../harness";

describeEngine("kills of VolumeClone", () => {
  killTests({ resource: volumeClone, plan: planFromEnvironment(volumeClone, 2), workers: 2 });
});
