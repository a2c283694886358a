import { snapshot } from "../resources/snapshot";
import { testFaultTable } from "../table";

testFaultTable(snapshot);
