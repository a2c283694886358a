// Says whose an object is: the state's entries by the ids of the objects that they hold, then the record on the object.

import { redact } from "../../provider/core/errors";
import { nameOfUrn, stackOfUrn } from "../../provider/core/urn";
import { isRecord } from "../../provider/core/util/values";
import { connectionOf } from "../connections";
import type { CliState, StateResource } from "../state";
import { ABSENT, type CopyNode, type Kind, keyOf, type Owner } from "./model";

/** What our record on an object says. */
export interface Recorded {
  owner?: string | undefined;
  /** Digest of the stack. */
  stack?: string | undefined;
}

export class Owners {
  private readonly holders = new Map<string, StateResource>();
  private readonly stacks: ReadonlySet<string>;

  /** `kind` and `connection` say which entries of the state are on this backend. */
  constructor(
    private readonly state: CliState | undefined,
    private readonly connection: { kind: string; name: string },
    private readonly kindOf: (resource: StateResource) => string,
  ) {
    const texts = (state?.resources ?? []).map(({ outputs }) => outputs.__stack);
    this.stacks = new Set(texts.flatMap((stack) => (typeof stack === "string" && stack !== "" ? [stack] : [])));
    // Of all connections: two of them may reach the same project, and ids are unique everywhere.
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

  of(key: string, { owner, stack }: Recorded): Owner {
    const holder = this.holders.get(key);
    if (holder !== undefined) return { is: "recorded", who: redact(holder.name) };
    if (owner === undefined || owner === "") return { is: "nobody" };
    const { stack: stackName, project } = stackOfUrn(owner);
    const who = redact(nameIn(owner));
    const elsewhere = project === "" ? who : redact(`${project}/${stackName} ${nameIn(owner)}`);
    if (this.stacks.size === 0) return { is: "claimed", who: elsewhere };
    if (stack !== undefined && this.stacks.has(stack)) return { is: "unrecorded", who };
    return { is: "other stack", who: elsewhere };
  }

  /** Of what the backend has no name for: the resource's. */
  resourceName({ owner = "" }: Recorded): string {
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

interface HeldObject {
  key: string;
  kind: Kind;
  id: string;
  parent?: string | undefined;
}

/** The objects that an entry of the state holds. An entry whose create has an unknown outcome holds none. */
function objectsOf({ resource, id, outputs, inputs }: StateResource): HeldObject[] {
  const held = (kind: Kind, one: unknown, parentKind?: Kind, parent?: unknown): HeldObject[] => {
    if (typeof one !== "string" || one === "" || one.startsWith("unknown-")) return [];
    const source = parentKind !== undefined && typeof parent === "string" ? keyOf(parentKind, parent) : undefined;
    return [{ key: keyOf(kind, one), kind, id: one, parent: source }];
  };
  const known = { ...inputs, ...outputs };
  switch (resource) {
    case "snapshot":
      return held("snapshot", id, "volume", known.volumeId);
    case "snapshotSeries":
      return rows(outputs.snapshots).flatMap((row) => held("snapshot", row.id, "volume", known.volumeId));
    case "volumeFromSnapshot":
      return held("volume", id, "snapshot", known.snapshotId);
    case "assistedSnapshot":
      return held("overlay", id, "snapshot", id?.split("/")[1]);
    case "volumeClone":
      return rows(outputs.clonedVolumes).flatMap((row) => held("volume", row.id, "volume", row.sourceId));
    case "linkedTargetSet":
      return rows(outputs.targets).flatMap((row) => held("target", row.id, "session", row.snapshotSessionId));
    case "clonedVm":
      return rows(outputs.vms).flatMap((row) => held("VM", row.uuid, "VM", known.vmInstanceUuid));
    default:
      return [];
  }
}

function rows(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
