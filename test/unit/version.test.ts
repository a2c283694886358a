import { readFileSync } from "node:fs";
import path from "node:path";
import { version } from "../../provider/version";

test("the version in the code is the package's", () => {
  const manifest = readFileSync(path.join(__dirname, "..", "..", "package.json"), "utf8");
  expect(version).toBe((JSON.parse(manifest) as { version: string }).version);
});
