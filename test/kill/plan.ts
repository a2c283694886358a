// The cases of a run of the kill suite. A seed draws them, and the run prints the seed: the same seed draws the same cases.

import type { ResourceCase } from "./resourceCase";

/** Who gets the signal: SIGKILL, or the SIGINT that a terminal's Ctrl-C sends to the CLI (plugins have their own group). */
export type Victim = "provider" | "cli" | "both" | "ctrl-c" | "ctrl-c twice";

export const SCENARIOS = [
  "up",
  "up, killed again while it recovers",
  "changed in between",
  "one removed in between",
  "other volumes in between",
  "another state store in between",
  "--replace straight after",
  "during --replace",
  "killed again during --replace, then a plain up",
  "during --replace, then a plain up",
  "during destroy",
] as const;

/** What is interrupted, and what the user does next. */
export type Scenario = (typeof SCENARIOS)[number];

/** Scenarios that need neither a second source for one resource nor a source that two stacks can copy at once. */
export const COMMON_SCENARIOS = SCENARIOS.filter(
  (scenario) => !/^(other volumes|another state store) in between$/.test(scenario),
);

/** A fraction of the time from the provider's start to the run's end, or the moment after the nth event on the wire. */
export type Instant = { fraction: number } | { after: WireEvent; nth: number };

/** `sent`: the emulator has logged a create (or delete) and has not executed it yet. */
export type WireEvent = "sent" | "answered" | "polled";

export interface Kill {
  victim: Victim;
  instant: Instant;
  /** Time between the two signals of `ctrl-c twice`. */
  gapMs: number;
}

export interface Case {
  number: number;
  scenario: Scenario;
  /** What `--replace` names, in the scenarios that use it. */
  replace: "resources" | "everything";
  kill: Kill;
  /** The interruption of the recovery, in the scenarios that interrupt it. */
  second: Kill;
}

export interface Plan {
  seed: number;
  cases: Case[];
}

const VICTIMS: readonly [Victim, ...Victim[]] = ["provider", "cli", "both", "ctrl-c", "ctrl-c twice"];

/**
 * One round; a shorter plan has the first cases of it. The seed draws the victim and the instant where a line has none.
 * Ctrl-C after the last answered create leaves all of them in the state, so that the next `--replace` meets them there.
 */
const ROUND: readonly { scenario: Scenario; victim?: Victim; afterAll?: WireEvent }[] = [
  { scenario: "up", victim: "provider" },
  { scenario: "during destroy" },
  { scenario: "up", victim: "cli" },
  { scenario: "--replace straight after", victim: "ctrl-c", afterAll: "answered" },
  { scenario: "up", victim: "both" },
  { scenario: "changed in between" },
  { scenario: "up", victim: "ctrl-c" },
  { scenario: "during --replace", victim: "ctrl-c", afterAll: "answered" },
  { scenario: "up", victim: "ctrl-c twice" },
  { scenario: "another state store in between" },
  { scenario: "other volumes in between" },
  { scenario: "up, killed again while it recovers" },
  { scenario: "one removed in between" },
  { scenario: "up", victim: "provider" },
  { scenario: "killed again during --replace, then a plain up", victim: "ctrl-c", afterAll: "answered" },
  { scenario: "during --replace, then a plain up" },
  { scenario: "--replace straight after" },
  { scenario: "up", victim: "cli" },
  { scenario: "during --replace" },
  { scenario: "up", victim: "both" },
];

/**
 * SNAPCLONE_KILL_COUNT is the number of cases for Snapshot; each other resource gets a quarter of it. Without a count,
 * the seed is 1 unless SNAPCLONE_KILL_SEED is set. SNAPCLONE_KILL_CASES (`3,17`) runs only these cases of the plan.
 */
export function planFromEnvironment(resource: ResourceCase, defaultCount: number): Plan {
  const { SNAPCLONE_KILL_COUNT: given, SNAPCLONE_KILL_SEED: seed, SNAPCLONE_KILL_CASES: only } = process.env;
  const fresh = given === undefined ? 1 : Math.floor(Math.random() * 1e9);
  const count = wholeNumber(given);
  const share = resource.type === "Snapshot" ? 1 : 4;
  const plan = draw(
    resource,
    wholeNumber(seed) ?? fresh,
    count === undefined ? defaultCount : Math.ceil(count / share),
  );
  const wanted = only?.split(",").map(Number);
  return { ...plan, cases: plan.cases.filter(({ number }) => wanted?.includes(number) ?? true) };
}

/**
 * One `up` for each resource of a list, for a shell whose kills are the same: the victims and the instants on the wire go round
 * the list, so that each of them comes to some resource. The instant is the last create's, so that no next run waits a minute
 * for a job that ZStack never got. With SNAPCLONE_KILL_COUNT it is the usual plan.
 */
export function shortPlanFromEnvironment(resource: ResourceCase, place: number): Plan {
  const plan = planFromEnvironment(resource, 1);
  if (process.env.SNAPCLONE_KILL_COUNT !== undefined) return plan;
  const victim = VICTIMS[place % VICTIMS.length] ?? "provider";
  const after = EVENTS[place % EVENTS.length] ?? "sent";
  return {
    ...plan,
    cases: plan.cases.map((one) => ({ ...one, kill: { ...one.kill, victim, instant: { after, nth: resource.size } } })),
  };
}

function draw({ scenarios, size }: ResourceCase, seed: number, count: number): Plan {
  const random = randomFrom(seed);
  const pick = <T>(list: readonly [T, ...T[]]): T => list[Math.floor(random() * list.length)] ?? list[0];
  const kill = (): Kill => ({
    victim: pick(VICTIMS),
    instant: random() < 0.6 ? { fraction: random() } : event(),
    gapMs: Math.round(200 + random() * 1800),
  });
  const event = (): Instant => ({ after: pick(EVENTS), nth: Math.min(pick([1, 3, 5]), size) });
  const round = ROUND.filter(({ scenario }) => scenarios.includes(scenario));
  const cases = Array.from({ length: count }, (_, index): Case => {
    const { scenario, victim, afterAll } = round[index % round.length] ?? { scenario: "up" };
    const replace = (index + Math.floor(index / round.length)) % 4 < 2 ? "resources" : "everything";
    const given = {
      ...(victim === undefined ? {} : { victim }),
      ...(afterAll === undefined ? {} : { instant: { after: afterAll, nth: size } }),
    };
    return { number: index + 1, scenario, replace, kill: { ...kill(), ...given }, second: kill() };
  });
  return { seed, cases };
}

export function titleOf({ number, scenario, replace, kill, second }: Case): string {
  const again = scenario.includes("killed again") ? `; then ${describeKill(second)}` : "";
  const what = scenario.includes("--replace") ? ` (of ${replace})` : "";
  return `${number}. ${scenario}${what}: ${describeKill(kill)}${again}`;
}

function describeKill({ victim, instant, gapMs }: Kill): string {
  const what = victim === "ctrl-c twice" ? `ctrl-c twice, ${gapMs} ms apart` : victim;
  const when =
    "fraction" in instant ? `at ${(instant.fraction * 100).toFixed(1)} %` : `after ${instant.after} no. ${instant.nth}`;
  return `${what} ${when}`;
}

const EVENTS: readonly [WireEvent, ...WireEvent[]] = ["sent", "answered", "polled"];

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
