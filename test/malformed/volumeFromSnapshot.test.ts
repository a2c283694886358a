import { volumeFromSnapshot } from "../faults/resources/volumeFromSnapshot";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(volumeFromSnapshot, { answers: 4_000, cases: 1_660 });
