import { linkedTargetSet } from "../resources/linkedTargetSet";
import { testFaultTable } from "../table";

testFaultTable(linkedTargetSet);
