import { volumeClone } from "../resources/volumeClone";
import { testFaultTable } from "../table";

testFaultTable(volumeClone);
