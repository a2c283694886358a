// The resources of the fault table, in the order of docs/faults.md.

import type { ResourceUnderTest } from "../resourceUnderTest";
import { assistedSnapshot } from "./assistedSnapshot";
import { clonedVm } from "./clonedVm";
import { linkedTargetSet } from "./linkedTargetSet";
import { snapshot } from "./snapshot";
import { volumeClone } from "./volumeClone";

export const RESOURCES: readonly ResourceUnderTest[] = [
  snapshot,
  volumeClone,
  linkedTargetSet,
  clonedVm,
  assistedSnapshot,
];
