import { assistedSnapshot } from "../faults/resources/assistedSnapshot";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(assistedSnapshot, { answers: 1_500, cases: 570 });
