// What the package is tried with: exact versions, and the combinations of them. Every value is in at least one row.
// docs/compatibility.md shows this table to users.

const NODES = { floor: "20.19.0", 20: "20.20.2", 22: "22.23.3", 24: "24.21.0" } as const;
/** The oldest of the peer range, the last that declares Node 20, and the newest. */
export const PULUMIS = { oldest: "3.216.0", forNode20: "3.248.0", newest: "3.270.0" } as const;
/** Pulumi's engine: the oldest that serves (tools/engine/version.ts), and the newest of the Go module proxy. */
export const ENGINES = { oldest: "3.216.0", newest: "3.276.0" } as const;
export const TYPESCRIPTS = { 5: "5.9.3", 6: "6.0.3", 7: "7.0.2" } as const;
export const TS_NODE = "10.9.2";
/** Of @pulumi/openstack. */
export const OPENSTACK = "3.15.2";
export const PNPM = "12.21.0";
export const YARN_CLASSIC = "1.22.22";
export const YARN = "4.18.1";
export const BUN = "1.4.5";
export const TSX = "4.23.15";
export const ESBUILD = "0.28.2";
export const NODE_TYPES = "20.19.43";
export const TOOLS = { publint: "0.3.25", "@arethetypeswrong/cli": "0.18.5", knip: "6.44.2" } as const;

/** What is installed beside the package. Rows with the same installation share its folder. */
export interface Installation {
  manager: "npm" | "pnpm";
  pulumi: string;
  typescript?: string;
  tsNode?: boolean;
}

export interface Combination {
  node: string;
  installed: Installation;
  modules: "CommonJS" | "ESM";
  /**
   * How the program gets to run. `pulumi's ts-node`: the 7.0.1 that Pulumi carries. `node`: Node 22.18 and newer take
   * the types out by themselves.
   */
  run: "JavaScript" | "compiled" | "ts-node" | "pulumi's ts-node" | "node";
}

const { oldest, forNode20, newest } = PULUMIS;

export const COMBINATIONS: readonly Combination[] = [
  { node: NODES.floor, installed: npm(oldest), modules: "CommonJS", run: "JavaScript" },
  { node: NODES[20], installed: npm(oldest, TYPESCRIPTS[5]), modules: "CommonJS", run: "pulumi's ts-node" },
  { node: NODES[20], installed: npm(forNode20, TYPESCRIPTS[5], true), modules: "CommonJS", run: "ts-node" },
  { node: NODES[20], installed: pnpm(forNode20, TYPESCRIPTS[6]), modules: "ESM", run: "compiled" },
  { node: NODES[22], installed: npm(newest, TYPESCRIPTS[6], true), modules: "ESM", run: "ts-node" },
  { node: NODES[22], installed: pnpm(newest, TYPESCRIPTS[5]), modules: "CommonJS", run: "pulumi's ts-node" },
  { node: NODES[22], installed: npm(newest, TYPESCRIPTS[7]), modules: "CommonJS", run: "compiled" },
  { node: NODES[22], installed: pnpm(oldest, TYPESCRIPTS[5], true), modules: "ESM", run: "ts-node" },
  { node: NODES[24], installed: pnpm(newest, TYPESCRIPTS[7]), modules: "ESM", run: "compiled" },
  { node: NODES[24], installed: npm(newest, TYPESCRIPTS[6], true), modules: "CommonJS", run: "compiled" },
  { node: NODES[24], installed: npm(newest, TYPESCRIPTS[7]), modules: "ESM", run: "node" },
  { node: NODES[24], installed: npm(newest), modules: "ESM", run: "JavaScript" },
];

function npm(pulumi: string, typescript?: string, tsNode?: boolean): Installation {
  return installation("npm", pulumi, typescript, tsNode);
}

function pnpm(pulumi: string, typescript?: string, tsNode?: boolean): Installation {
  return installation("pnpm", pulumi, typescript, tsNode);
}

function installation(manager: "npm" | "pnpm", pulumi: string, typescript?: string, tsNode = false): Installation {
  return { manager, pulumi, tsNode, ...(typescript === undefined ? {} : { typescript }) };
}

export function nameOf({ node, installed, modules, run }: Combination): string {
  const typescript = installed.typescript === undefined ? "no TypeScript" : `TypeScript ${installed.typescript}`;
  return `Node ${node}, ${installed.manager}, Pulumi ${installed.pulumi}, ${typescript}, ${modules}, ${run}`;
}

export function nameOfInstallation({ manager, pulumi, typescript, tsNode }: Installation): string {
  return [manager, `pulumi-${pulumi}`, `typescript-${typescript ?? "none"}`, ...(tsNode ? ["ts-node"] : [])].join("_");
}
