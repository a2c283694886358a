// The lineage of copies as data: objects with the object that each was made from, and the trees that these make up.

export type Kind = "volume" | "snapshot" | "overlay" | "series" | "group" | "session" | "target" | "VM" | "clone set";

/** Whose an object is, by our record on it and by the state. `who` names the resource, and its stack unless it is this one. */
export type Owner =
  /** The state has it. */
  | { is: "recorded"; who: string }
  /** It has this stack's record, and no entry of the state has it. */
  | { is: "unrecorded"; who: string }
  /** The state shows that its create was interrupted. */
  | { is: "pending"; who: string }
  /** It has this stack's record, and the state was saved before it was made. */
  | { is: "newer"; who: string }
  | { is: "other stack"; who: string }
  /** It has a record, and there is nothing to compare it with: no state, or the record names no stack. */
  | { is: "claimed"; who: string }
  /** No resource of this package has made or adopted it. */
  | { is: "nobody" };

export interface CopyNode {
  /** `keyOf(kind, id)`: unique among the objects of a connection. */
  key: string;
  kind: Kind;
  id: string;
  /** "" where it has none, or where it is a secret. */
  name: string;
  /** The backend's word, or one of ABSENT. */
  state: string;
  sizeGiB?: number | undefined;
  /** ISO 8601 with its zone. */
  createdAt?: string | undefined;
  owner: Owner;
  /** The key of what it was made from. */
  parent?: string | undefined;
}

/** States of objects that a list did not have. */
export const ABSENT = {
  /** An object names it as its source. */
  unseen: "not visible",
  /** The state has it. */
  missing: "not found",
  circle: "source is its own copy",
} as const;

export interface Tree {
  readonly node: CopyNode;
  readonly children: Tree[];
}

/** What one connection shows. */
export interface Lineage {
  connection: { kind: string; name: string };
  /** What the login reaches: a project, a tenant, an account. */
  backend: string;
  /** By the backend's clock. */
  now: Date;
  forest: readonly Tree[];
  /** Volumes and VMs that nothing was made from, and that nobody has recorded. They are left out. */
  lone: number;
  /** What this backend could not be asked for. */
  notes: readonly string[];
}

export function keyOf(kind: Kind, id: string): string {
  return `${kind} ${id}`;
}

/**
 * Each node is in exactly one tree, whatever the backend says: an unknown source becomes a node of its own, and a circle
 * is cut.
 */
export function buildForest(nodes: Iterable<CopyNode>): Tree[] {
  const trees = new Map<string, Tree>();
  for (const node of nodes) if (!trees.has(node.key)) trees.set(node.key, { node, children: [] });
  const roots: Tree[] = [];
  for (const tree of [...trees.values()]) {
    const { parent } = tree.node;
    if (parent === undefined) roots.push(tree);
    else sourceOf(parent, trees, roots).children.push(tree);
  }
  const all = [...roots, ...cutCircles(trees, roots)];
  for (const { children } of trees.values()) children.sort(byAge);
  return all.sort(byAge);
}

/** The trees from top to bottom, each source before its copies. */
export function* inOrder(forest: readonly Tree[]): Generator<Visited> {
  // A stack of its own: a chain of copies may be deeper than calls can be.
  const open = siblings(forest, 0);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    yield next;
    open.push(...siblings(next.tree.children, next.depth + 1));
  }
}

interface Visited {
  tree: Tree;
  /** 0 for a root. */
  depth: number;
  /** The last one of its source's copies. */
  isLast: boolean;
}

/** The last one first, as a stack has them. */
function siblings(trees: readonly Tree[], depth: number): Visited[] {
  return trees.map((tree, at) => ({ tree, depth, isLast: at === trees.length - 1 })).reverse();
}

function sourceOf(key: string, trees: Map<string, Tree>, roots: Tree[]): Tree {
  const known = trees.get(key);
  if (known !== undefined) return known;
  const [, kind = "volume", id = key] = /^(clone set|\S+) (.*)$/s.exec(key) ?? [];
  const node: CopyNode = {
    key,
    kind: kind as Kind,
    id,
    name: "",
    state: ABSENT.unseen,
    owner: { is: "nobody" },
  };
  const made = { node, children: [] };
  trees.set(key, made);
  roots.push(made);
  return made;
}

/** A circle hangs on no root. Its first node becomes one. */
function cutCircles(trees: ReadonlyMap<string, Tree>, roots: readonly Tree[]): Tree[] {
  const reached = new Set<Tree>([...inOrder(roots)].map(({ tree }) => tree));
  const cut: Tree[] = [];
  for (const tree of trees.values()) {
    if (reached.has(tree)) continue;
    const above = trees.get(tree.node.parent ?? "")?.children ?? [];
    above.splice(above.indexOf(tree), 1);
    const root = { node: { ...tree.node, state: `${tree.node.state} (${ABSENT.circle})` }, children: tree.children };
    cut.push(root);
    for (const one of inOrder([root])) reached.add(one.tree);
    reached.add(tree);
  }
  return cut;
}

/** The oldest first; last what tells no time. */
function byAge({ node: one }: Tree, { node: other }: Tree): number {
  const [mine = "~", its = "~"] = [one.createdAt, other.createdAt];
  return (
    (mine < its ? -1 : mine > its ? 1 : 0) ||
    one.name.localeCompare(other.name, "en", { numeric: true }) ||
    one.key.localeCompare(other.key)
  );
}
