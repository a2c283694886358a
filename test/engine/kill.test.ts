// kill -9 of the provider, of the CLI, of both, and Ctrl-C, at random instants: nothing lost, nothing doubled, nothing
// left. A few in `npm test`, many in `npm run test:kill`.

import { emulatorGround } from "../kill/ground";
import { killTests } from "../kill/lanes";
import { planFromEnvironment } from "../kill/plan";
import { describeEngine } from "./harness";

describeEngine("kills", () => {
  killTests({ plan: planFromEnvironment(12), lanes: 2, ground: emulatorGround });
});
