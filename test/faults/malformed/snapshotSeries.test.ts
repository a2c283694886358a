import { snapshotSeries } from "../resources/snapshotSeries";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(snapshotSeries, { answers: 1_000, cases: 400 });
