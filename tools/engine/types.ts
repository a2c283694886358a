// The types of an engine and of the ways to get one.

import type { Reporter } from "./reporter";

export interface FoundEngine {
  kind: "path" | "npm" | "built";
  /** The binary. */
  pulumi: string;
  /** The folders that go before PATH: `pulumi`, its Node.js language host, the dynamic provider's launcher and `node`. */
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

/** The arguments of each way to get an engine. */
export interface Context {
  env: NodeJS.ProcessEnv;
  reporter: Reporter;
  root: string;
  cache: string;
}

/** An engine, or the reason why there is none. */
export type Outcome = { engine: FoundEngine } | { failure: string };
