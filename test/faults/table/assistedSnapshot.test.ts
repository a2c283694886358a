import { assistedSnapshot } from "../resources/assistedSnapshot";
import { testFaultTable } from "../table";

testFaultTable(assistedSnapshot);
