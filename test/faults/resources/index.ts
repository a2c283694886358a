// The resources of the fault table, in the order of docs/faults.md.

import { loadForEachResource } from "../../support/perResource";
import type { ResourceUnderTest } from "../resourceUnderTest";

export const RESOURCES: readonly ResourceUnderTest[] = loadForEachResource("test/faults/resources");

/** The chapters of the table: each resource, and then its variants. */
export const CHAPTERS: readonly ResourceUnderTest[] = RESOURCES.flatMap((resource) => [
  resource,
  ...(resource.variants ?? []),
]);
