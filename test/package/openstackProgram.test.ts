// examples/restore-attach compiles with the packed package beside @pulumi/openstack. It needs a cloud with Nova, so it is
// not run.

import * as fs from "node:fs";
import * as path from "node:path";
import { run } from "../../tools/engine/processes";
import { cleanEnvironment } from "../support/pulumi";
import { installed, repository, testWith } from "./prepared";

const EXAMPLE = path.join(repository, "examples", "restore-attach");

testWith("a restored volume is attached to a server of @pulumi/openstack", [installed("openstack")], async (base) => {
  const folder = path.join(base, "restore-attach");
  fs.rmSync(folder, { recursive: true, force: true });
  fs.cpSync(EXAMPLE, folder, { recursive: true });
  const compiler = path.join(base, "node_modules", "typescript", "bin", "tsc");
  const compile = () =>
    run(process.execPath, [compiler, "-p", folder], {
      cwd: folder,
      env: cleanEnvironment(base, []),
      timeoutMs: 200_000,
    });
  expect(await compile()).toMatchObject({ ok: true, output: "" });

  // The types of both packages are really there: a volume's size is no volume's id.
  const program = path.join(folder, "index.ts");
  const text = fs.readFileSync(program, "utf8");
  fs.writeFileSync(program, text.replace("volumeId: restored.id", "volumeId: restored.sizeGiB"));
  expect((await compile()).output).toContain("is not assignable to type");
});
