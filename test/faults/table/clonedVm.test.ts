import { clonedVm } from "../resources/clonedVm";
import { testFaultTable } from "../table";

testFaultTable(clonedVm);
