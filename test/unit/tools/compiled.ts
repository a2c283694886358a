// The tools as JavaScript in a folder of their own, for tests that start them as processes: straight from the sources,
// so that a stale dist/ can't make a test pass.

import * as fs from "node:fs";
import * as path from "node:path";
import * as ts from "typescript";

export const repository = path.resolve(__dirname, "..", "..", "..");

export function compileTools(into: string): void {
  const sources = path.join(repository, "tools", "engine");
  fs.mkdirSync(into, { recursive: true });
  for (const name of fs.readdirSync(sources).filter((file) => file.endsWith(".ts"))) {
    const { outputText } = ts.transpileModule(fs.readFileSync(path.join(sources, name), "utf8"), {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
    });
    fs.writeFileSync(path.join(into, name.replace(/\.ts$/, ".js")), outputText);
  }
}
