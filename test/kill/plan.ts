// Which kills a run of the kill tests makes: drawn at random from a seed that is printed, so that any of them can be
// made again.

import type { ResourceCase } from "./resourceCase";

/** Who is hit: by SIGKILL, or by the SIGINT that a terminal's Ctrl-C sends to the CLI (plugins have their own group). */
export type Victim = "provider" | "cli" | "both" | "ctrl-c" | "ctrl-c twice";

export const STORIES = [
  "up",
  "up, killed again while it recovers",
  "changed in between",
  "one removed in between",
  "other volumes in between",
  "another backend in between",
  "--replace straight after",
  "during --replace",
  "killed again during --replace, then a plain up",
  "during --replace, then a plain up",
  "during destroy",
] as const;

/** What is interrupted, and how the user goes on. */
export type Story = (typeof STORIES)[number];

/** Those that need no volume in common, and nothing that two stacks can copy at once. */
export const COMMON_STORIES = STORIES.filter((story) => !/^(other volumes|another backend) in between$/.test(story));

/** Somewhere between the start of the provider process and the end of the run; or right after something was seen on the wire. */
export type Instant = { fraction: number } | { after: WireEvent; nth: number };

/** `sent`: a create (or delete) is on its way and not carried out yet. */
export type WireEvent = "sent" | "answered" | "looked";

export interface Kill {
  victim: Victim;
  instant: Instant;
  /** Between the two of `ctrl-c twice`. */
  gapMs: number;
}

export interface Case {
  number: number;
  story: Story;
  /** What `--replace` names, in the stories that have one. */
  replace: "resources" | "everything";
  kill: Kill;
  /** Of the recovery itself. */
  second: Kill;
}

export interface Plan {
  seed: number;
  cases: Case[];
}

const VICTIMS: readonly [Victim, ...Victim[]] = ["provider", "cli", "both", "ctrl-c", "ctrl-c twice"];

/**
 * One round; a plan shorter than that has the first ones. What isn't said is drawn. Ctrl-C once all creates are answered
 * leaves them recorded: a forced replacement then meets what the state holds.
 */
const ROUND: readonly { story: Story; victim?: Victim; afterAll?: WireEvent }[] = [
  { story: "up", victim: "provider" },
  { story: "during destroy" },
  { story: "up", victim: "cli" },
  { story: "--replace straight after", victim: "ctrl-c", afterAll: "answered" },
  { story: "up", victim: "both" },
  { story: "changed in between" },
  { story: "up", victim: "ctrl-c" },
  { story: "during --replace", victim: "ctrl-c", afterAll: "answered" },
  { story: "up", victim: "ctrl-c twice" },
  { story: "another backend in between" },
  { story: "other volumes in between" },
  { story: "up, killed again while it recovers" },
  { story: "one removed in between" },
  { story: "up", victim: "provider" },
  { story: "killed again during --replace, then a plain up", victim: "ctrl-c", afterAll: "answered" },
  { story: "during --replace, then a plain up" },
  { story: "--replace straight after" },
  { story: "up", victim: "cli" },
  { story: "during --replace" },
  { story: "up", victim: "both" },
];

/**
 * SNAPCLONE_KILL_COUNT (of Snapshot; a quarter of it of each other resource) and SNAPCLONE_KILL_SEED; without a count the
 * seed is always the same. SNAPCLONE_KILL_CASES (`3,17`) makes only those of the plan.
 */
export function planFromEnvironment(kind: ResourceCase, defaultCount: number): Plan {
  const { SNAPCLONE_KILL_COUNT: given, SNAPCLONE_KILL_SEED: seed, SNAPCLONE_KILL_CASES: only } = process.env;
  const fresh = given === undefined ? 1 : Math.floor(Math.random() * 1e9);
  const count = wholeNumber(given);
  const share = kind.type === "Snapshot" ? 1 : 4;
  const plan = draw(kind, wholeNumber(seed) ?? fresh, count === undefined ? defaultCount : Math.ceil(count / share));
  const wanted = only?.split(",").map(Number);
  return { ...plan, cases: plan.cases.filter(({ number }) => wanted?.includes(number) ?? true) };
}

function draw({ stories, size }: ResourceCase, seed: number, count: number): Plan {
  const random = randomFrom(seed);
  const pick = <T>(list: readonly [T, ...T[]]): T => list[Math.floor(random() * list.length)] ?? list[0];
  const kill = (): Kill => ({
    victim: pick(VICTIMS),
    instant: random() < 0.6 ? { fraction: random() } : event(),
    gapMs: Math.round(200 + random() * 1800),
  });
  const event = (): Instant => ({ after: pick(EVENTS), nth: Math.min(pick([1, 3, 5]), size) });
  const round = ROUND.filter(({ story }) => stories.includes(story));
  const cases = Array.from({ length: count }, (_, index): Case => {
    const { story, victim, afterAll } = round[index % round.length] ?? { story: "up" };
    const replace = (index + Math.floor(index / round.length)) % 4 < 2 ? "resources" : "everything";
    const given = {
      ...(victim === undefined ? {} : { victim }),
      ...(afterAll === undefined ? {} : { instant: { after: afterAll, nth: size } }),
    };
    return { number: index + 1, story, replace, kill: { ...kill(), ...given }, second: kill() };
  });
  return { seed, cases };
}

export function titleOf({ number, story, replace, kill, second }: Case): string {
  const again = story.includes("killed again") ? `; then ${wordsOf(second)}` : "";
  const what = story.includes("--replace") ? ` (of ${replace})` : "";
  return `${number}. ${story}${what}: ${wordsOf(kill)}${again}`;
}

function wordsOf({ victim, instant, gapMs }: Kill): string {
  const what = victim === "ctrl-c twice" ? `ctrl-c twice, ${gapMs} ms apart` : victim;
  const when =
    "fraction" in instant ? `at ${(instant.fraction * 100).toFixed(1)} %` : `after ${instant.after} no. ${instant.nth}`;
  return `${what} ${when}`;
}

const EVENTS: readonly [WireEvent, ...WireEvent[]] = ["sent", "answered", "looked"];

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** mulberry32: the same numbers on every Node. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
