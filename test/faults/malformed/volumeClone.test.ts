import { volumeClone } from "../subjects/volumeClone";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(volumeClone, { answers: 2_500, cases: 760 });
