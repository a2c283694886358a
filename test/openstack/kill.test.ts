// The kill suite against a real Cinder. The assertions see only Cinder's rows, since nothing records the requests.

import { describeEngine } from "../engine/harness";
import { onBackend } from "../kill/cases/snapshot";
import { seriesOnBackend } from "../kill/cases/snapshotSeries";
import { volumesOnBackend } from "../kill/cases/volumeFromSnapshot";
import { killTests } from "../kill/parallelRunner";
import { planFromEnvironment } from "../kill/plan";
import { labBackend, labVolumeBackend } from "./backend";
import { describeOpenStack } from "./lab";

describeOpenStack("a real Cinder", (lab) => {
  describeEngine("kills", () => {
    const resources = [
      onBackend(() => labBackend(lab())),
      seriesOnBackend(() => labBackend(lab())),
      volumesOnBackend(() => labVolumeBackend(lab())),
    ];
    describe.each(resources.map((resource) => [resource.type, resource] as const))("%s", (_type, resource) => {
      killTests({ resource, plan: planFromEnvironment(resource, resource.type === "Snapshot" ? 2 : 1), workers: 1 });
    });
  });
});
