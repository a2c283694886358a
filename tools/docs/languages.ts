// What the schema says for single languages: an example of each, from the files that test/engine/native/languages.test.ts
// runs; and what the generators of the SDKs need to know.

import { readFileSync } from "node:fs";
import path from "node:path";

/** The languages of the examples, as a fence names them, by the ending of their files in examples/native. */
const EXAMPLE_FILES = { ts: "typescript", py: "python", go: "go", yaml: "yaml" } as const;

/** The form from which Pulumi's generators take the example of their language (pulumi/pulumi pkg/codegen/docs.go:153). */
export function exampleText(root: string, slug: string): string {
  const programs = Object.entries(EXAMPLE_FILES).map(([ending, language]) => {
    const text = readFileSync(path.join(root, "examples", "native", `${slug}.${ending}`), "utf8");
    return `\`\`\`${language}\n${text}\`\`\``;
  });
  const example = ["{{% example %}}", ...programs, "", "{{% /example %}}"];
  return ["{{% examples %}}", "## Example Usage", ...example, "{{% /examples %}}"].join("\n");
}

/**
 * The path of the Go module is the repository's address, which package.json has once the repository is public. Until then it is
 * an address that nobody can own (RFC 2606), so that `go get` never fetches a stranger's module.
 */
export function goModule(root: string): string {
  const { repository } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  const address = repository?.url ?? "https://example.com/pulumi-snapclone";
  return `${address.replace(/^(?:git\+)?https:\/\//, "").replace(/(?:\.git)?\/?$/, "")}/sdk/go`;
}

export function languageInfo(root: string, description: string): Record<string, unknown> {
  const modulePath = goModule(root);
  return {
    nodejs: { packageName: "pulumi-snapclone-sdk", respectSchemaVersion: true },
    python: {
      packageName: "pulumi_snapclone",
      respectSchemaVersion: true,
      pyproject: { enabled: true },
      readme: `# pulumi-snapclone for Python\n\n${description}\n\nThe engine needs the plugin of the same version: docs/native.md.\n`,
    },
    go: {
      modulePath,
      importBasePath: `${modulePath}/snapclone`,
      generateResourceContainerTypes: true,
      respectSchemaVersion: true,
    },
    csharp: { respectSchemaVersion: true },
    java: {},
  };
}
