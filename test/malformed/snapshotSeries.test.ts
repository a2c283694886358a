import { snapshotSeries } from "../faults/resources/snapshotSeries";
import { testMalformedAnswers } from "./answers";

testMalformedAnswers(snapshotSeries, { answers: 1_000, cases: 400 });
