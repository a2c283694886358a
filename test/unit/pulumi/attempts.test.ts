// The journal of creates: what is left of it proves that a provider died while Pulumi lived on, and nothing else does.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { attemptJournal } from "../../../provider/pulumi/attempts";

const URN = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::a";
const MINUTE = 60_000;

let home: string;
const before = { ...process.env };
const attempts = () => path.join(home, "snapclone", "attempts");
const left = () => fs.readdirSync(attempts()).sort();

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-unit-"));
  process.env.PULUMI_HOME = home;
  process.env.PATH = [home, before.PATH].join(path.delimiter);
});
afterEach(() => {
  process.env.PATH = before.PATH;
  if (before.PULUMI_HOME === undefined) delete process.env.PULUMI_HOME;
  else process.env.PULUMI_HOME = before.PULUMI_HOME;
  fs.rmSync(home, { recursive: true });
});

/** `pulumi stack history` answers with one update, its times in minutes from now. */
function history(result: string, from: number, to: number): void {
  const date = (minutes: number) => new Date(Date.now() + minutes * MINUTE).toISOString();
  const updates = JSON.stringify([{ result, startTime: date(from), endTime: date(to) }]);
  fs.writeFileSync(path.join(home, "pulumi"), `#!/bin/sh\necho '${updates}'\n`, { mode: 0o755 });
}

const diedAlone = () => attemptJournal().diedAlone("f00d", "0badcafe", URN, undefined, 10_000);

test("an answered create leaves nothing", () => {
  const journal = attemptJournal();
  journal.begin("f00d", "1");
  journal.begin("f00d", "2");
  expect(left()).toEqual(["f00d-1", "f00d-2"]);
  journal.end("f00d", "1");
  expect(left()).toEqual(["f00d-2"]);
  journal.endAll();
  expect(left()).toEqual([]);
});

test.each([
  ["failed", -1, 1, true],
  ["succeeded", -1, 1, false],
  ["failed", -3, -2, false],
  ["failed", 2, 3, false],
] as const)(
  "a create without an answer, and an update that %s (%s to %s min): %s",
  async (result, from, to, expected) => {
    attemptJournal().begin("f00d", "0badcafe");
    history(result, from, to);
    expect(await diedAlone()).toBe(expected);
  },
);

test("without a file, with a file that a kill has cut off, without a history: no proof", async () => {
  history("failed", -1, 1);
  expect(await diedAlone()).toBe(false);
  attemptJournal().begin("f00d", "0badcafe");
  fs.truncateSync(path.join(attempts(), "f00d-0badcafe"), 8);
  expect(await diedAlone()).toBe(false);
  attemptJournal().begin("f00d", "0badcafe");
  fs.rmSync(path.join(home, "pulumi"));
  process.env.PATH = home;
  expect(await diedAlone()).toBe(false);
});

test("files older than eight days are removed, and a file that another process removes meanwhile hinders nobody", () => {
  attemptJournal().begin("f00d", "old");
  const old = new Date(Date.now() - 9 * 24 * 60 * MINUTE);
  fs.utimesSync(path.join(attempts(), "f00d-old"), old, old);
  // Listed, and not there when it is looked at.
  fs.symlinkSync("nowhere", path.join(attempts(), "f00d-vanished"));
  attemptJournal().begin("f00d", "new");
  expect(left()).toEqual(["f00d-new", "f00d-vanished"]);
});

test("a home folder that can't be written stops no create", () => {
  fs.writeFileSync(path.join(home, "snapclone"), "a file");
  const journal = attemptJournal();
  journal.begin("f00d", "1");
  journal.end("f00d", "1");
  journal.endAll();
});
