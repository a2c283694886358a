import { snapshotSeries } from "../resources/snapshotSeries";
import { testFaultTable } from "../table";

testFaultTable(snapshotSeries);
