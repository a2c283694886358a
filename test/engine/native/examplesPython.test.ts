// The programs of examples/native in Python (languageLives.ts). A file for each language, as Jest runs files side by side.

import { describeLanguage } from "./languageLives";

describeLanguage("Python");
