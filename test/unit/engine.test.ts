// What several provider processes of one run tell each other: by a file, as they have nothing else in common.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { siblingsOf } from "../../provider/engine";

describe("siblings", () => {
  const id = `test-${process.pid}`;
  const file = path.join(os.tmpdir(), `snapclone-run-${id}`);
  afterEach(() => fs.rmSync(file, { force: true }));

  test("hear what another has told, until it has ended", () => {
    const [one, other] = [siblingsOf(id), siblingsOf(id)];
    expect(other.told()).toEqual([]);
    one.tell(["snapshot", "with\nodd\tsigns", "run 1"]);
    one.tell(["snapshot", "2", "run 1"]);
    expect(other.told()).toEqual([
      ["snapshot", "with\nodd\tsigns", "run 1"],
      ["snapshot", "2", "run 1"],
    ]);
    expect(fs.statSync(file).mode & 0o077).toBe(0);
    other.forget();
    expect(other.told()).toHaveLength(2);
    one.forget();
    expect(fs.existsSync(file)).toBe(false);
  });

  test("pass over a line that a killed process has not finished", () => {
    const one = siblingsOf(id);
    one.tell(["snapshot", "1", "run 1"]);
    fs.appendFileSync(file, '["snapshot", "2');
    expect(one.told()).toEqual([["snapshot", "1", "run 1"]]);
  });

  test("neither follow nor believe what somebody else has put there", () => {
    const elsewhere = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-unit-")), "file");
    fs.writeFileSync(elsewhere, '["snapshot", "1", "run 1"]\n');
    fs.symlinkSync(elsewhere, file);
    const one = siblingsOf(id);
    expect(one.told()).toEqual([]);
    one.tell(["snapshot", "2", "run 1"]);
    expect(fs.readFileSync(elsewhere, "utf8")).not.toContain('"2"');
    fs.rmSync(path.dirname(elsewhere), { recursive: true });
  });
});
