// kill -9 of the provider, of the CLI, of both, and Ctrl-C, at random instants: nothing lost, nothing doubled, nothing
// left, whatever the resource. A few in `npm test`, many in `npm run test:kill`.

import { KINDS } from "../kill/kinds";
import { killTests } from "../kill/lanes";
import { planFromEnvironment } from "../kill/plan";
import { describeEngine } from "./harness";

for (const kind of KINDS) {
  describeEngine(`kills of ${kind.type}`, () => {
    killTests({ kind, plan: planFromEnvironment(kind, kind.type === "Snapshot" ? 6 : 2), lanes: 2 });
  });
}
