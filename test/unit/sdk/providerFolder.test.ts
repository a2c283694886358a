// Where the constructor looks for the package, as Pulumi's provider process will. The layouts themselves are tried in
// test/package/layouts.test.ts.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { assertProviderIsFound } from "../../../sdk/providerFolder";

const RUNNER = "/project/node_modules/@pulumi/pulumi/cmd/run/index.js";
const started = process.argv[1] ?? "";
let folder: string;

beforeEach(() => {
  folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "snapclone-folder-")));
  jest.spyOn(process, "cwd").mockReturnValue(folder);
  process.argv[1] = RUNNER;
});

afterEach(() => {
  jest.restoreAllMocks();
  process.argv[1] = started;
  Reflect.deleteProperty(process.versions, "pnp");
  delete process.env.NODE_OPTIONS;
  fs.rmSync(folder, { recursive: true });
});

function install(name: string): void {
  const own = path.join(folder, "node_modules", name);
  fs.mkdirSync(own, { recursive: true });
  fs.writeFileSync(path.join(own, "index.js"), "");
}

test("a folder without the package is named", () => {
  expect(() => assertProviderIsFound("some-package")).toThrow(
    new RegExp(`looks for this package in ${folder} and .* \`npm install pulumi-snapclone\``),
  );
});

test("the package in a folder above is enough, and a bare call elsewhere asks for nothing", () => {
  install("some-package");
  jest.spyOn(process, "cwd").mockReturnValue(path.join(folder, "infra"));
  expect(() => assertProviderIsFound("some-package")).not.toThrow();
  process.argv[1] = "/app/server.js";
  expect(() => assertProviderIsFound("nowhere-to-be-found")).not.toThrow();
});

test("Plug'n'Play that no other process inherits is told; with NODE_OPTIONS it is asked", () => {
  install("some-package");
  Object.defineProperty(process.versions, "pnp", { value: "3", configurable: true });
  expect(() => assertProviderIsFound("some-package")).toThrow(/yarn exec pulumi up/);
  process.env.NODE_OPTIONS = "--require /project/.pnp.cjs";
  expect(() => assertProviderIsFound("some-package")).not.toThrow();
});
