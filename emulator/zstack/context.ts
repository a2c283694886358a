// What a handler gets, and what an asynchronous call returns.

import type { EmulatorRequest } from "../core/http";
import type { ZStackModel } from "./model";
import type { ZStackJob } from "./rows";

export interface Context {
  readonly model: ZStackModel;
  readonly request: EmulatorRequest;
  readonly params: Readonly<Record<string, string>>;
  /** The fields inside the action's own object. */
  readonly fields: Record<string, unknown>;
  readonly systemTags: readonly string[];
}

/** The work of an asynchronous call, whose result is the body of the job's 200. */
export interface Work {
  /** Milliseconds of the emulator's time. */
  readonly ms: number;
  readonly timeoutMs?: number;
  /** Runs after `ms`. Throws a Failure. */
  readonly run: () => object | undefined;
  /** What the service's own interceptor refuses: after the session is checked, and in a dry run, too. Throws a Failure. */
  readonly validate?: () => void;
  /** Runs at once, after the checks. */
  readonly begin?: () => void;
  /** Replaces `ms` and `run`, and ends the job itself. */
  readonly drive?: (job: ZStackJob) => void;
}
