// The programs of examples/native in Go (languageLives.ts). A file for each language, as Jest runs files side by side.

import { describeLanguage } from "./languageLives";

describeLanguage("Go");
