import { toyCopy } from "../faults/resources/toyCopy";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(toyCopy, { answers: 150, cases: 100 });
