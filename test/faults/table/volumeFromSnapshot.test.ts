import { volumeFromSnapshot } from "../resources/volumeFromSnapshot";
import { testFaultTable } from "../table";

testFaultTable(volumeFromSnapshot);
