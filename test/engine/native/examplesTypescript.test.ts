// The programs of examples/native in TypeScript (languageLives.ts). A file for each language, as Jest runs files side by side.

import { describeLanguage } from "./languageLives";

describeLanguage("TypeScript");
