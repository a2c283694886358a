import { clonedVm } from "../faults/resources/clonedVm";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(clonedVm, { answers: 1_500, cases: 450 });
