// Keeps a killed run harmless. Everything we make bears a marker with two phases. *Open*: written with the create
// itself; an open object of ours that no state knows is the debris of a run that was killed, and the next create adopts
// it instead of making a second one. *Settled*: written once there is evidence that the engine has recorded the id;
// a settled object is never adopted, so a forced replacement really makes a new one.
//
// Evidence is a later call that carries the id, or the orderly end of the run (reference pulumi-engine.md §3). Never the
// moment in which create returns: a kill between the mark and the engine's checkpoint would lose the object for good.

import { createHash } from "node:crypto";
import type { AnyDefinition, Marker, OpenObject } from "./definition";
import { canonical } from "./diff";

/** A run's end may take five seconds before the engine kills the process (reference pulumi-engine.md §3). */
const SETTLE_AT_ONCE = 16;

export class Ledger {
  private readonly lists = new Map<string, Promise<readonly OpenObject[]>>();
  private readonly recorded = new Set<string>();
  private readonly madeHere = new Set<string>();
  private readonly adoptedHere = new Set<string>();
  private readonly settling = new Map<string, Promise<void>>();

  constructor(
    private readonly listOpen: (place: string) => Promise<readonly OpenObject[]>,
    private readonly settle: (id: string) => Promise<void>,
    /** Ids that some call of this run carried: the engine knows them. */
    private readonly known: ReadonlySet<string>,
  ) {}

  /** What an interrupted run of this owner left: the one to adopt, and those that can't become what is wanted. */
  async debris(
    marker: Marker,
    place: string,
    look: "once" | "afresh",
  ): Promise<{ adopt?: OpenObject; left: OpenObject[] }> {
    const ours = (await this.listed(place, look)).filter(
      ({ owner, id }) => owner === marker.owner && !this.madeHere.has(id),
    );
    const debris = ours.filter(({ id }) => !this.known.has(id));
    for (const { id } of ours) if (this.known.has(id)) this.settleSoon(id);
    const adopt = debris.find(({ inputs }) => inputs === marker.inputs);
    return { ...(adopt ? { adopt } : {}), left: debris.filter((object) => object !== adopt) };
  }

  /** Was its mark open when this run looked first? */
  async isOpen(id: string, place: string): Promise<boolean> {
    return (await this.listed(place, "once")).some((object) => object.id === id);
  }

  /** This run's create has made (or adopted) it and is about to hand its id to the engine. */
  made(id: string, how: "started" | "adopted"): void {
    this.madeHere.add(id);
    if (how === "adopted") this.adoptedHere.add(id);
  }

  wasAdoptedHere(id: string): boolean {
    return this.adoptedHere.has(id);
  }

  /** There is evidence: settle it in the background. A failure costs nothing, the marker stays open for the next evidence. */
  settleSoon(id: string): void {
    if (this.recorded.has(id)) return;
    this.recorded.add(id);
    this.settling.set(
      id,
      this.settle(id).catch(() => {}),
    );
  }

  /** The orderly end of the run: what it made is recorded now. */
  async settleAll(): Promise<void> {
    const rest = [...this.madeHere].filter((id) => !this.recorded.has(id));
    const worker = async () => {
      for (let id = rest.pop(); id !== undefined; id = rest.pop()) {
        this.settleSoon(id);
        await this.settling.get(id);
      }
    };
    await Promise.all(Array.from({ length: SETTLE_AT_ONCE }, worker));
    await Promise.all(this.settling.values());
  }

  private listed(place: string, look: "once" | "afresh"): Promise<readonly OpenObject[]> {
    const earlier = this.lists.get(place);
    if (look === "once" && earlier !== undefined) return earlier;
    const list = this.listOpen(place);
    this.lists.set(place, list);
    // A list that failed answers nobody else: the next one who needs it asks again.
    list.catch(() => {
      if (this.lists.get(place) === list) this.lists.delete(place);
    });
    return list;
  }
}

/** The marker of a resource: who it is, and a fingerprint of what can't be changed in place. */
export function markerOf(definition: AnyDefinition, owner: string, inputs: Record<string, unknown>): Marker {
  const fixed = Object.entries(definition.inputs)
    .filter(([, { onChange, fixed }]) => onChange === "replace" || fixed !== undefined)
    .map(([key, { fixed }]) => [key, fixed ? fixed(inputs[key]) : inputs[key]]);
  const inputsLength = definition.markLengths?.inputs ?? 32;
  return {
    owner: shortOwner(definition, owner),
    inputs: digest(canonical(Object.fromEntries(fixed))).slice(0, inputsLength),
  };
}

/** Where `listOpen` has to look for what this owner's interrupted runs have left. */
export function placeOf(definition: AnyDefinition, owner: string, inputs: Record<string, unknown>): string {
  return definition.openIn?.(markerOf(definition, owner, inputs), inputs) ?? "";
}

/** URNs may be long; places for markers take 255 characters (Cinder's metadata values, ZStack's tags), some far less. */
export function shortOwner({ markLengths }: AnyDefinition, urn: string): string {
  const most = markLengths?.owner ?? 255;
  if (most < 64) return urn === "" ? "" : digest(urn).slice(0, most);
  return urn.length <= most ? urn : `${urn.slice(0, most - 75)}…${digest(urn)}`;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
