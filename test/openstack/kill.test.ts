// Kills against a real Cinder: the cases and the judge of test/engine/kill.test.ts, judged by the rows alone, as nobody
// sees this wire.

import { describeEngine } from "../engine/harness";
import { backendGround } from "../kill/ground";
import { killTests } from "../kill/lanes";
import { planFromEnvironment } from "../kill/plan";
import { labBackend } from "./backend";
import { describeOpenStack } from "./lab";

describeOpenStack("a real Cinder", (lab) => {
  describeEngine("kills", () => {
    killTests({
      plan: planFromEnvironment(3),
      lanes: 1,
      size: 3,
      ground: async (stackName) => backendGround(labBackend(lab()), stackName),
    });
  });
});
