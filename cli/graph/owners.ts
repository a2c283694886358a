// Says whose an object is: the state's entries by the ids of the objects that they hold, then the record on the object.

import { redact } from "../../provider/core/errors";
import { shortOwner } from "../../provider/core/ownership";
import { nameOfUrn, stackOfUrn } from "../../provider/core/urn";
import { type ResourceName, resources } from "../../provider/resources";
import { connectionOf } from "../connections";
import { objectsOf } from "../heldObjects";
import type { CliState, StateResource } from "../state";
import { type Recorded, type StackIdentity, type Status, statusOf } from "../status";
import { ABSENT, type CopyNode, type Owner } from "./model";

/** What our record on an object says, if there is one. */
export type PossibleRecord = { [Key in keyof Recorded]?: Recorded[Key] | undefined };

const OWNERS = {
  recorded: "recorded",
  "to be deleted": "recorded",
  pending: "pending",
  "in no state": "unrecorded",
  "newer than the state": "newer",
  "another stack's": "other stack",
  "copied record": "claimed",
  "unknown stack": "claimed",
  "not compared": "claimed",
  gone: "recorded",
} as const satisfies Record<Status, Owner["is"]>;

export class Owners {
  private readonly holders = new Map<string, StateResource>();

  /** `kind` and `connection` say which entries of the state are on this backend; `leadMs` is its `clockLead`. */
  constructor(
    private readonly state: CliState | undefined,
    private readonly stack: StackIdentity,
    private readonly connection: { kind: string; name: string },
    private readonly kindOf: (resource: StateResource) => string,
    private readonly leadMs: () => number,
  ) {
    // The state's resources on all connections: two connections may reach the same project, and ids are unique everywhere.
    for (const resource of state?.resources ?? []) {
      for (const { key } of objectsOf(resource)) this.holders.set(key, resource);
    }
  }

  /** The state's resources on this connection. */
  get resources(): StateResource[] {
    return (this.state?.resources ?? []).filter(
      (one) => this.kindOf(one) === this.connection.kind && connectionOf(one.inputs) === this.connection.name,
    );
  }

  /** True if the state has the object. */
  holds(key: string): boolean {
    return this.holders.has(key);
  }

  of(key: string, { owner = "", ...record }: PossibleRecord): Owner {
    const holder = this.holders.get(key);
    if (holder !== undefined) return { is: "recorded", who: redact(holder.name) };
    if (owner === "") return { is: "nobody" };
    const is = OWNERS[statusOf({ owner, ...record }, undefined, this.state, this.stack, this.leadMs())];
    const isHere = is !== "other stack" && is !== "claimed";
    const { stack, project } = stackOfUrn(owner);
    const place = isHere || project === "" ? "" : `${project}/${stack} `;
    return { is, who: redact(`${place}${nameIn(owner)}`) };
  }

  /** A backend without room for the URN stores a digest: the record of the state's resource that has this digest. */
  recordOf(name: ResourceName, shortened: string): PossibleRecord | undefined {
    const { digest } = this.stack;
    if (digest === undefined || this.state === undefined) return undefined;
    const known = [...this.state.resources, ...this.state.pending].filter(({ resource }) => resource === name);
    const owner = known.find(({ urn }) => shortOwner(resources[name](), digest, urn) === shortened)?.urn;
    return owner === undefined ? undefined : { owner, stack: digest };
  }

  /** Names an object that has no name on the backend. */
  resourceName({ owner = "" }: PossibleRecord): string {
    return redact(owner === "" ? "" : nameIn(owner));
  }

  /** The name, unless the program made it a secret: the backend shows it in clear text. */
  nameOf(key: string, name: string | null | undefined): string {
    const secrets = this.holders.get(key)?.inputs.__secrets;
    return Array.isArray(secrets) && secrets.length > 0 ? "" : redact(name ?? "");
  }

  /** What the state has, and no list of the backend had. */
  missing(found: ReadonlySet<string>): CopyNode[] {
    return this.resources.flatMap((resource) =>
      objectsOf(resource)
        .filter(({ key }) => !found.has(key))
        .map(({ key, kind, id, parent }) => ({
          key,
          kind,
          id,
          name: "",
          state: ABSENT.missing,
          owner: { is: "recorded", who: redact(resource.name) } as const,
          parent,
        })),
    );
  }
}

/** The resource's name; the whole text where it is no URN. */
function nameIn(owner: string): string {
  const name = nameOfUrn(owner);
  return name === "" ? owner : name;
}
