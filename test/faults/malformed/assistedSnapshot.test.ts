import { assistedSnapshot } from "../resources/assistedSnapshot";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(assistedSnapshot, { answers: 1_500, cases: 570 });
