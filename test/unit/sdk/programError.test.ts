// An error for Pulumi to print has no frames: Node 20.20 and 22 loop on a frame such as `…/node_modules/@pulumi/resource.ts`.

import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { programError } from "../../../sdk/programError";

test("it is Pulumi's RunError with the message, and has no frames", () => {
  const error = programError("no snapshot meets these conditions");
  expect(pulumi.RunError.isInstance(error)).toBe(true);
  expect(error.message).toBe("no snapshot meets these conditions");
  expect(error.stack).toBe("Error: no snapshot meets these conditions");
});

test("nothing else in sdk/ makes an error for Pulumi to print", () => {
  const folder = resolve(__dirname, "..", "..", "..", "sdk");
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts"));
  const makers = files.filter((name) => /\b(RunError|ResourceError)\(/.test(readFileSync(join(folder, name), "utf8")));
  expect(makers).toEqual(["programError.ts"]);
});
