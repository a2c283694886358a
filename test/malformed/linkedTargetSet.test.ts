import { linkedTargetSet } from "../faults/resources/linkedTargetSet";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(linkedTargetSet, { answers: 1_500, cases: 530 });
