// The same kills for the native shell: one resource whose record is made with it, and one whose record comes later.

import { clonedVm } from "../../kill/cases/clonedVm";
import { snapshot } from "../../kill/cases/snapshot";
import { killTests } from "../../kill/parallelRunner";
import { planFromEnvironment } from "../../kill/plan";
import type { ResourceCase } from "../../kill/resourceCase";
import { describeEngine } from "../harness";

const native = (resource: ResourceCase): ResourceCase => ({ ...resource, shell: "native" });

describeEngine("kills of the native Snapshot", () => {
  killTests({ resource: native(snapshot), plan: planFromEnvironment(snapshot, 2), workers: 1 });
});

describeEngine("kills of the native ClonedVm", () => {
  killTests({ resource: native(clonedVm), plan: planFromEnvironment(clonedVm, 1), workers: 1 });
});
