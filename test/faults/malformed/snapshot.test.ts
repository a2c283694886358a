import { snapshot } from "../subjects/snapshot";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(snapshot, { answers: 10_000, cases: 4_150 });
