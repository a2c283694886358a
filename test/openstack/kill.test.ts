// Kills against a real Cinder: the cases and the judge of test/engine/kill.test.ts, judged by the rows alone, as nobody
// sees this wire.

import { describeEngine } from "../engine/harness";
import { onBackend } from "../kill/cases/snapshot";
import { killTests } from "../kill/parallelRunner";
import { planFromEnvironment } from "../kill/plan";
import { labBackend } from "./backend";
import { describeOpenStack } from "./lab";

describeOpenStack("a real Cinder", (lab) => {
  describeEngine("kills", () => {
    const kind = onBackend(() => labBackend(lab()));
    killTests({ kind, plan: planFromEnvironment(kind, 3), lanes: 1 });
  });
});
