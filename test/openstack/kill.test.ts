// The kill suite against a real Cinder. The assertions see only Cinder's rows, since nothing records the requests.

import { describeEngine } from "../engine/harness";
import { onBackend } from "../kill/cases/snapshot";
import { killTests } from "../kill/parallelRunner";
import { planFromEnvironment } from "../kill/plan";
import { labBackend } from "./backend";
import { describeOpenStack } from "./lab";

describeOpenStack("a real Cinder", (lab) => {
  describeEngine("kills", () => {
    const resource = onBackend(() => labBackend(lab()));
    killTests({ resource, plan: planFromEnvironment(resource, 3), workers: 1 });
  });
});
