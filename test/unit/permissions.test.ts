// docs/permissions.md lists each call that the clients can send, and no other.

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import * as ts from "typescript";

const ROOT = resolve(__dirname, "..", "..");
const PAGE = readFileSync(join(ROOT, "docs", "permissions.md"), "utf8");

/** Public methods that send nothing of their own: they ask by way of a listed one, or close the sockets. */
const SENDS_NOTHING = new Set(["whyError", "microversion", "atLeast", "close"]);

const CLIENTS = [...PAGE.matchAll(/^<!-- calls of (\S+) -->\n([\s\S]*?)^<!-- end -->$/gm)].map(
  ([, file = "", table = ""]) => ({ file, listed: [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name) }),
);

/** The public methods of the client's class that return a promise. */
function callsOf(file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(join(ROOT, file), "utf8"), ts.ScriptTarget.Latest);
  const client = source.statements.filter(ts.isClassDeclaration).find(({ name }) => name?.text.endsWith("Client"));
  const methods = client?.members.filter(ts.isMethodDeclaration) ?? [];
  const isPublic = (method: ts.MethodDeclaration) =>
    !method.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword);
  return methods
    .filter((method) => isPublic(method) && method.type?.getText(source).startsWith("Promise<"))
    .map(({ name }) => name.getText(source))
    .filter((name) => !SENDS_NOTHING.has(name));
}

test("there is a table for each client", () => {
  expect(CLIENTS.map(({ file }) => file)).toEqual([
    "provider/openstack/cinder.ts",
    "provider/openstack/nova.ts",
    "provider/powervc/client.ts",
    "provider/vipr/client.ts",
    "provider/zstack/client.ts",
  ]);
});

test.each(CLIENTS)("$file: the table has each call, and nothing else", ({ file, listed }) => {
  const calls = callsOf(file);
  expect(calls.length).toBeGreaterThan(1);
  expect([...listed].sort()).toEqual([...calls].sort());
});
