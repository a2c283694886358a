import { snapshot } from "../faults/resources/snapshot";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(snapshot, { answers: 4_000, cases: 1_660 });
