// For Jest's `globalTeardown`: ends the lab, if this test run has started it.

import { down } from "./lab";

export default down;
