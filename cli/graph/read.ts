// Reads the lineage of what each connection reaches.

import type { OpenStackContext } from "../../provider/openstack/context";
import type { PowerVcContext } from "../../provider/powervc/context";
import { type ResourceName, resourceNames, resources } from "../../provider/resources";
import type { ViprContext } from "../../provider/vipr/context";
import type { ZStackContext } from "../../provider/zstack/context";
import type { Connection } from "../connections";
import type { CliState } from "../state";
import { clockLead, type StackIdentity } from "../status";
import { readCinder } from "./cinder";
import { buildForest, type CopyNode, type Lineage, type Tree } from "./model";
import { Owners } from "./owners";
import { readVipr } from "./vipr";
import { readZStack } from "./zstack";

/** What the reader of a backend returns. */
export interface ReadLineage {
  backend: string;
  /** By the backend's clock, if its answers tell. */
  now: Date | undefined;
  nodes: readonly CopyNode[];
  notes: readonly string[];
}

export interface ReadOptions {
  state: CliState | undefined;
  stack: StackIdentity;
  /** Where to begin on a backend that cannot list all. */
  sources: readonly string[];
  /** Shows objects without copies, too. */
  all: boolean;
}

/** Throws "config" without settings for the connection, and whatever the backend's requests throw. */
export async function readLineage(
  connection: Connection,
  { state, stack, sources, all }: ReadOptions,
): Promise<Lineage> {
  const { kind, name } = { kind: connection.kind.kind, name: connection.name };
  const client = connection.open();
  const kindOf = ({ resource }: { resource: ResourceName }) => resources[resource]().connection.kind;
  const own = resourceNames.map((resource) => resources[resource]()).find((one) => one.connection === connection.kind);
  const leadMs = () => (own === undefined ? 0 : clockLead(own, client));
  const owners = new Owners(state, stack, { kind, name }, kindOf, leadMs);
  const { backend, now = new Date(), nodes, notes } = await readBackend(kind, client, owners, sources);
  const missing = owners.missing(new Set(nodes.map(({ key }) => key)));
  const forest = buildForest([...nodes, ...missing]);
  const shown = forest.filter((tree) => all || !isLone(tree));
  return { connection: { kind, name }, backend, now, forest: shown, lone: forest.length - shown.length, notes };
}

function readBackend(kind: string, client: unknown, owners: Owners, sources: readonly string[]): Promise<ReadLineage> {
  switch (kind) {
    case "openstack":
    case "powervc":
      return readCinder(client as OpenStackContext | PowerVcContext, owners);
    case "vipr":
      return readVipr(client as ViprContext, owners, sources);
    case "zstack":
      return readZStack(client as ZStackContext, owners);
    default:
      throw new Error(`no reader for connections of the kind ${kind}`);
  }
}

/** Nothing was made from it, and nobody has recorded it: not a copy and not a source. */
function isLone({ node, children }: Tree): boolean {
  return children.length === 0 && node.owner.is === "nobody" && (node.kind === "volume" || node.kind === "VM");
}
