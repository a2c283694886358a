// `npm run bench`: measures the provider with the real engine against the emulator, prints a table and writes
// bench/results.json. docs/performance.md says what is measured and why.
//
//   --n 1,50          how many resources (default 1,50,200,500)
//   --rounds 3        runs of each, up to 200 resources; above, one
//   --only runs       one part: runs, others, waits, loading, sdk or native; others and native are written, beside what is there
//   --native 1000,200,500   the sizes of the part `native`: creates that wait, resources of `up` and of the preview; 0 omits one

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { type FoundEngine, resolveEngine } from "../engine";
import { type Case, type Comparison, compare } from "./comparison";
import { type EmulatorProcess, startEmulatorProcess } from "./emulatorProcess";
import { type Loading, measureLoading } from "./loading";
import { measureNative, type NativeFigures } from "./native";
import { measureSdk, type OpenStackSdk, sdkVersion } from "./openstacksdk";
import { measureOthers, type OtherResource } from "./others";
import { tables } from "./tables";
import { judge, type Target } from "./targets";
import { measureWaits, type Waits } from "./waits";

export interface Results {
  date: string;
  machine: { cpu: string; cores: number; memoryGiB: number; system: string; load: number[] };
  versions: Record<string, string>;
  /** How many operations the engine starts at once when `--parallel` isn't given. */
  enginesDefaultParallel: number;
  runs: Comparison[];
  others: ({ resources: OtherResource[] } & MeasuredOn) | undefined;
  waits: Waits[];
  loading: Loading | undefined;
  native: (NativeFigures & MeasuredOn) | undefined;
  openstacksdk: OpenStackSdk[];
  targets: Target[];
  seconds: number;
}

/** Where and when a part was measured that may be measured alone. */
type MeasuredOn = Pick<Results, "date" | "machine">;

interface Options {
  n: number[];
  rounds: number;
  only: string | undefined;
  /** Sizes of the part `native`. */
  native: [waits: number, up: number, preview: number];
}

const repository = path.resolve(__dirname, "..", "..", "..");
const output = path.join(repository, "bench", "results.json");
/** A run of more resources takes so long that it is made once only. */
const CHEAP = 200;
/** The one size that is also run with the engine's own default parallelism, and with openstacksdk. */
const COMMON = 200;
/** The number of resources in the runs of one size only. */
const FEW = 20;
const PARTS = ["runs", "others", "waits", "loading", "sdk", "native"];

async function main(argv: readonly string[]): Promise<number> {
  const begun = performance.now();
  const options = readOptions(argv);
  const engine = await resolveEngine();
  if (engine.kind === "none") {
    process.stderr.write(`${engine.reason}\n`);
    return 1;
  }
  const emulator = await startEmulatorProcess();
  try {
    const results = empty(engine);
    for (const { what, run } of stepsOf(options, engine, emulator, results)) {
      say(what);
      await run();
      results.targets = judge(results);
      results.seconds = Math.round((performance.now() - begun) / 1000);
      // Written after each part: if a later part fails, the minutes of the earlier ones are not lost.
      const written = options.only === undefined ? results : withPart(results, options.only);
      if (written !== undefined) save(written);
    }
    process.stdout.write(`${tables(results)}\n`);
  } finally {
    await emulator.close();
  }
  return 0;
}

interface Step {
  what: string;
  /** Adds to the results. */
  run(): Promise<void>;
}

function stepsOf(options: Options, engine: FoundEngine, emulator: EmulatorProcess, results: Results): Step[] {
  const { enginesDefaultParallel } = results;
  const loading: Step = {
    what: "loading the provider's entry",
    run: async () => {
      results.loading = measureLoading(7);
    },
  };
  const runs = casesOf(options).map(
    (one): Step => ({
      what: `${one.n} resources, --parallel ${one.parallel ?? `not given (${enginesDefaultParallel})`}, rounds: ${one.rounds}`,
      run: async () => {
        results.runs.push(await compare(engine, emulator, one, enginesDefaultParallel));
      },
    }),
  );
  const others: Step = {
    what: `the other resources, ${FEW} of each, rounds: ${options.rounds}`,
    run: async () => {
      const { date, machine } = results;
      const resources = await measureOthers(engine, emulator, FEW, options.rounds);
      results.others = { date, machine, resources };
    },
  };
  const sdk: Step = {
    what: "openstacksdk",
    run: async () => {
      results.openstacksdk = await withSdk(options, emulator);
    },
  };
  const waits = MANY_WAITS.map(
    ([count, backendSeconds]): Step => ({
      what: `${count} waits in one process`,
      run: async () => {
        const measured = await measureWaits(count, backendSeconds).catch((error: Error) => say(error.message));
        if (measured) results.waits.push(measured);
      },
    }),
  );
  const native: Step = {
    what: "the native provider beside the dynamic one",
    run: async () => {
      const [count, up, preview] = options.native;
      const figures = await measureNative(engine, emulator, { waits: count, up, preview, rounds: options.rounds });
      results.native = { date: results.date, machine: results.machine, ...figures };
    },
  };
  const parts: Record<string, Step[]> = {
    loading: [loading],
    native: [native],
    sdk: [sdk],
    waits,
    others: [others],
    runs,
  };
  return options.only === undefined ? Object.values(parts).flat() : (parts[options.only] ?? []);
}

function empty(engine: FoundEngine): Results {
  return {
    date: new Date().toISOString(),
    machine: machine(),
    versions: versions(engine),
    enginesDefaultParallel: defaultParallel(engine),
    runs: [],
    others: undefined,
    waits: [],
    loading: undefined,
    native: undefined,
    openstacksdk: [],
    targets: [],
    seconds: 0,
  };
}

/** The results that are there, with this part of the present ones. undefined for a part that has no date of its own. */
function withPart(results: Results, part: string): Results | undefined {
  if (part !== "native" && part !== "others") return undefined;
  const all = { ...(JSON.parse(fs.readFileSync(output, "utf8")) as Results), [part]: results[part] };
  return { ...all, targets: judge(all) };
}

function save(results: Results): void {
  fs.mkdirSync(path.dirname(output), { recursive: true });
  fs.writeFileSync(output, `${JSON.stringify(results, undefined, 2)}\n`);
  say(`written: ${path.relative(repository, output)}`);
}

function readOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      n: { type: "string", default: "1,50,200,500" },
      rounds: { type: "string", default: "3" },
      only: { type: "string" },
      native: { type: "string", default: "1000,200,500" },
    },
  });
  const whole = (text: string) => {
    if (!/^[1-9]\d*$/.test(text))
      throw new Error(`"${text}" is not a positive whole number; --n takes a list of them, --rounds takes one`);
    return Number(text);
  };
  if (values.only !== undefined && !PARTS.includes(values.only)) {
    throw new Error(`"${values.only}" is no part of the benchmark; --only takes ${PARTS.join(", ")}`);
  }
  const sizes = values.native.split(",").map(Number);
  const [waits, up, preview] = sizes;
  if (sizes.length !== 3 || sizes.some((size) => !Number.isInteger(size) || size < 0)) {
    throw new Error(`"${values.native}" is no list of three whole numbers; --native takes 1000,200,500 or less`);
  }
  return {
    n: values.n.split(",").map(whole),
    rounds: whole(values.rounds),
    only: values.only,
    native: [waits ?? 0, up ?? 0, preview ?? 0],
  };
}

/** The number of creates, and the seconds that the backend works on each: long enough for all to be in flight together. */
const MANY_WAITS: readonly [number, number][] = [
  [1_000, 15],
  [10_000, 45],
];

function casesOf({ n, rounds }: Options): Case[] {
  return n.flatMap((count): Case[] => {
    const one: Case = { n: count, parallel: count, rounds: count > CHEAP ? 1 : rounds };
    // Wave after wave of the backend's own time: a minute each, so once.
    return count === COMMON ? [one, { n: count, parallel: undefined, rounds: 1 }] : [one];
  });
}

async function withSdk({ n }: Options, emulator: EmulatorProcess): Promise<OpenStackSdk[]> {
  const version = await sdkVersion();
  if (version === undefined) {
    say("omitting openstacksdk: /usr/bin/python3 does not have it");
    return [];
  }
  const measured: OpenStackSdk[] = [];
  for (const count of n.filter((one) => one === COMMON)) {
    say(`${count} snapshots with openstacksdk ${version}`);
    measured.push(await measureSdk(version, emulator, count, Math.min(count, 50)));
  }
  return measured;
}

/** The engine's own words: it depends on the machine. */
function defaultParallel({ pulumi }: FoundEngine): number {
  const help = execFileSync(pulumi, ["up", "--help"], { encoding: "utf8", timeout: 20_000 });
  return Number(/--parallel .*\(default (\d+)\)/.exec(help)?.[1] ?? 16);
}

function machine(): Results["machine"] {
  const [cpu] = os.cpus();
  return {
    cpu: cpu?.model ?? "unknown",
    cores: os.cpus().length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    load: os.loadavg().map((value) => Number(value.toFixed(2))),
  };
}

function versions(engine: FoundEngine): Record<string, string> {
  const of = (name: string) => {
    const file = path.join(repository, "node_modules", name, "package.json");
    return (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version;
  };
  return {
    "pulumi-snapclone": of("pulumi-snapclone"),
    engine: `${engine.version} (${engine.kind}, ${engine.languageHost} language host)`,
    "@pulumi/pulumi": of("@pulumi/pulumi"),
    node: process.versions.node,
    undici: of("undici"),
    zod: of("zod"),
  };
}

function say(text: string): void {
  process.stderr.write(`── ${text}\n`);
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  },
);
