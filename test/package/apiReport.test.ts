// The public API is the one in etc/*.api.md: whoever changes it shows so, by `npm run docs`.

import { checkApiReports } from "../../tools/docs/apiReport";
import { repository } from "./prepared";

test("the API reports are those of the build", () => {
  expect(checkApiReports(repository, false)).toEqual([]);
}, 120_000);
