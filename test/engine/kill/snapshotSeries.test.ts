// kill -9 of the provider, of the CLI, of both, and Ctrl-C, at random instants. A few cases here, many in
// `npm run test:kill`; test/kill/scenario.ts explains the suite.

import { snapshotSeries } from "../../kill/cases/snapshotSeries";
import { killTests } from "../../kill/parallelRunner";
import { planFromEnvironment } from "../../kill/plan";
import { describeEngine } from "../harness";

describeEngine("kills of SnapshotSeries", () => {
  killTests({ resource: snapshotSeries, plan: planFromEnvironment(snapshotSeries, 6), workers: 2 });
});
