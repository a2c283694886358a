// kill -9 of the provider, of the CLI, of both, and Ctrl-C, at random instants: nothing lost, nothing doubled, nothing
// left, whatever the resource. A few in `npm test`, many in `npm run test:kill`.

import { CASES } from "../kill/cases/index";
import { killTests } from "../kill/parallelRunner";
import { planFromEnvironment } from "../kill/plan";
import { describeEngine } from "./harness";

for (const kind of CASES) {
  describeEngine(`kills of ${kind.type}`, () => {
    killTests({ kind, plan: planFromEnvironment(kind, kind.type === "Snapshot" ? 6 : 2), lanes: 2 });
  });
}
