// How long the provider's entry takes to load, each time in a process of its own.

import { execFileSync } from "node:child_process";
import * as path from "node:path";
import { type Figure, figure } from "./figures";

/** Milliseconds. */
export interface Loading {
  /** `require` of the entry. */
  entry: Figure;
  /** From there to the answer of the first `check`: every preview pays this. */
  firstCheck: Figure;
  /** From there until the HTTP client is loaded: a run that asks the cloud pays this, too. */
  http: Figure;
}

const entry = path.resolve(__dirname, "..", "..", "provider", "dynamic.js");
const VOLUME = "11111111-1111-4111-8111-111111111111";

const script = `
const at = [performance.now()];
const { snapshot } = require(${JSON.stringify(entry)});
at.push(performance.now());
snapshot.check({}, { volumeId: "${VOLUME}", __owner: "urn:pulumi:a::b::c::d" }).then(() => {
  at.push(performance.now());
  require(${JSON.stringify(require.resolve("undici"))});
  at.push(performance.now());
  console.log(JSON.stringify(at));
});
`;

export function measureLoading(times: number): Loading {
  // The first one fills the system's file cache and doesn't count.
  const runs = Array.from({ length: times + 1 }, once).slice(1);
  const step = (from: number) => figure(runs.map((at) => (at[from + 1] ?? 0) - (at[from] ?? 0)));
  return { entry: step(0), firstCheck: step(1), http: step(2) };
}

function once(): number[] {
  const options = { encoding: "utf8", timeout: 20_000 } as const;
  return JSON.parse(execFileSync(process.execPath, ["-e", script], options)) as number[];
}
