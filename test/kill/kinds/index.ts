// All resources under the kill tests.

import type { Kind } from "../kind";
import { assistedSnapshot } from "./assistedSnapshot";
import { clonedVm } from "./clonedVm";
import { linkedTargetSet } from "./linkedTargetSet";
import { snapshot } from "./snapshot";
import { volumeClone } from "./volumeClone";

export const KINDS: readonly Kind[] = [snapshot, volumeClone, linkedTargetSet, clonedVm, assistedSnapshot];
