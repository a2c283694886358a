// For Jest's `globalSetup`: whether there can be a Nova must be known before the tests are read.

import { setUp } from "./lab";

export default setUp;
