// The fault table through the native provider's service. `npm test` runs the table through the core alone.

import { RESOURCES } from "../faults/resources/index";
import { testNativeFaultTable } from "../faults/table";

testNativeFaultTable(RESOURCES);
