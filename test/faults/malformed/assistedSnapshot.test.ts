import { assistedSnapshot } from "../subjects/assistedSnapshot";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(assistedSnapshot, { answers: 2_500, cases: 940 });
