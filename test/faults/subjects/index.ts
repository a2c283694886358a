// The resources of the fault table, in the order of docs/faults.md.

import type { Subject } from "../subject";
import { assistedSnapshot } from "./assistedSnapshot";
import { linkedTargetSet } from "./linkedTargetSet";
import { snapshot } from "./snapshot";

export const SUBJECTS: readonly Subject[] = [snapshot, linkedTargetSet, assistedSnapshot];
