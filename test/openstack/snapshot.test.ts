// Snapshot on the real engine, against a real Cinder: the scenarios of the emulator, word for word.

import { describeEngine } from "../engine/harness";
import { snapshotScenarios } from "../scenarios/snapshot";
import { labBackend } from "./backend";
import { describeOpenStack } from "./lab";

describeOpenStack("a real Cinder", (lab) => {
  describeEngine("Snapshot", () => {
    snapshotScenarios(() => labBackend(lab()));
  });
});
