import { revert } from "../revertUnderTest";
import { testFaultTable } from "../table";

testFaultTable(revert);
