// Finds Pulumi's language host for YAML programs, for the tests of the native provider: beside the engine (the vendor's
// release has the host), else compiled from the Go module proxy. The host has a go.mod of its own, because pulumi-yaml needs
// an older SDK than the engine and does not compile with the engine's.

import * as path from "node:path";
import { type Compiled, compileOnce } from "./goCommand";
import { isExecutable } from "./onPath";
import type { Context, FoundEngine } from "./types";
import { moduleFile } from "./version";

const HOST = "pulumi-language-yaml";

/** The host's folder, which goes on PATH beside the engine's, or the reason why there is none. */
export async function resolveYamlHost(engine: FoundEngine, context: Context, onlyReady: boolean): Promise<Compiled> {
  const beside = engine.path.split(path.delimiter).find((folder) => isExecutable(path.join(folder, HOST)));
  if (beside !== undefined) return { folder: beside };
  const files = ["go.mod", "go.sum"].map((name) => [name, moduleFile(context.root, path.join("yaml", name))]);
  const command = {
    name: HOST,
    folder: "yaml-host",
    title: "the host for YAML programs",
    duration: "2 minutes on two cores",
    files: Object.fromEntries(files),
    target: "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
  };
  return compileOnce(command, context, onlyReady);
}
