// What an engine is, and what the ways of getting one share.

import type { Reporter } from "./reporter";

export interface FoundEngine {
  kind: "path" | "npm" | "built";
  /** The binary. */
  pulumi: string;
  /** To be put before PATH: then `pulumi`, its Node.js language host, the dynamic provider's launcher and `node` are found. */
  path: string;
  version: string;
  languageHost: "vendor" | "standin";
}

export interface NoEngine {
  kind: "none";
  /** Several lines: why each way failed, and what to install. */
  reason: string;
}

export type Engine = FoundEngine | NoEngine;

/** What every way of getting an engine is given. */
export interface Context {
  env: NodeJS.ProcessEnv;
  reporter: Reporter;
  root: string;
  cache: string;
}

/** A way either gives an engine or says why it can't. */
export type Outcome = { engine: FoundEngine } | { failure: string };
