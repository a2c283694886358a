// kill -9 of the provider, of the CLI, of both, and Ctrl-C, at random instants. A few cases here, many in
// `npm run test:kill`; test/kill/scenario.ts explains the suite.

import { volumeFromSnapshot } from "../../kill/cases/volumeFromSnapshot";
import { killTests } from "../../kill/parallelRunner";
import { planFromEnvironment } from "../../kill/plan";
import { describeEngine } from "../harness";

describeEngine("kills of VolumeFromSnapshot", () => {
  killTests({ resource: volumeFromSnapshot, plan: planFromEnvironment(volumeFromSnapshot, 2), workers: 2 });
});
