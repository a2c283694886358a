import { linkedTargetSet } from "../subjects/linkedTargetSet";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(linkedTargetSet, { answers: 2_500, cases: 880 });
