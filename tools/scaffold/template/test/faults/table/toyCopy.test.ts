import { toyCopy } from "../resources/toyCopy";
import { testFaultTable } from "../table";

testFaultTable(toyCopy);
