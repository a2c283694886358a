// What a handler of Nova is given.

import type { CinderModel } from "../cinder/model";
import type { EmulatorRequest, Reply } from "../core/http";
import type { Identity, KeystoneModel } from "../keystone/model";
import type { NovaModel } from "./model";

export interface NovaContext {
  readonly model: NovaModel;
  readonly cinder: CinderModel;
  readonly keystone: KeystoneModel;
  readonly request: EmulatorRequest;
  readonly identity: Identity;
  /** 2.x as the number x. */
  readonly minor: number;
  readonly params: Readonly<Record<string, string>>;
  /** `http://host/compute` */
  readonly base: string;
}

export type NovaHandler = (context: NovaContext) => Reply;
