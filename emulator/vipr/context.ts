// What a handler gets, and what it returns.

import type { EmulatorRequest } from "../core/http";
import type { ViprUser } from "./auth";
import type { ViprModel } from "./model";
import type { Answer } from "./views";

export interface Context {
  readonly model: ViprModel;
  readonly request: EmulatorRequest;
  readonly params: Readonly<Record<string, string>>;
  readonly user: ViprUser;
}

export type Handler = (context: Context) => Answer;
