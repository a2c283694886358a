// A change of the public API needs an entry in the changelog (CONTRIBUTING.md, "Commits and releases").

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(__dirname, "..", "..");
const git = (...args: string[]) => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();

/** Paths that changed since this commit, with the changes that are not committed yet. */
function changedSince(commit: string): string[] {
  return git("diff", "--name-only", commit).split("\n");
}

const isApiReport = (path: string) => /^etc\/.*\.api\.md$/.test(path);

/** The commit before the one that last changed the reports. Undefined in a package, and in a clone without its parent. */
function beforeLastApiChange(): string | undefined {
  if (!existsSync(join(ROOT, ".git"))) return undefined;
  const dirty = changedSince("HEAD").some(isApiReport);
  if (dirty) return "HEAD";
  const [, parent] = git("log", "-1", "--no-merges", "--format=%H %P", "--", "etc/*.api.md").split(" ");
  return parent;
}

test("whoever changes the public API writes an entry in the changelog", () => {
  const before = beforeLastApiChange();
  if (before === undefined) return;
  expect(changedSince(before)).toContain("CHANGELOG.md");
});
