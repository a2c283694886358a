import { volumeClone } from "../faults/resources/volumeClone";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(volumeClone, { answers: 1_500, cases: 460 });
