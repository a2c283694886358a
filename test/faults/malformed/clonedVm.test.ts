import { clonedVm } from "../subjects/clonedVm";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(clonedVm, { answers: 2_500, cases: 740 });
