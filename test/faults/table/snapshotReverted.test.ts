import { snapshot } from "../resources/snapshot";
import { testFaultTable } from "../table";

for (const variant of snapshot.variants ?? []) testFaultTable(variant);
