// All resources under the kill tests.

import type { ResourceCase } from "../resourceCase";
import { assistedSnapshot } from "./assistedSnapshot";
import { clonedVm } from "./clonedVm";
import { linkedTargetSet } from "./linkedTargetSet";
import { snapshot } from "./snapshot";
import { volumeClone } from "./volumeClone";

export const CASES: readonly ResourceCase[] = [snapshot, volumeClone, linkedTargetSet, clonedVm, assistedSnapshot];
