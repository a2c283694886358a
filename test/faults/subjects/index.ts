// The resources of the fault table, in the order of docs/faults.md.

import type { Subject } from "../subject";
import { assistedSnapshot } from "./assistedSnapshot";
import { clonedVm } from "./clonedVm";
import { linkedTargetSet } from "./linkedTargetSet";
import { snapshot } from "./snapshot";
import { volumeClone } from "./volumeClone";

export const SUBJECTS: readonly Subject[] = [snapshot, volumeClone, linkedTargetSet, clonedVm, assistedSnapshot];
