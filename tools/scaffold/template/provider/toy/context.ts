// One Toy connection of a run, and what the run's operations share.

import type { ConnectionKind } from "../core/connection/connections";
import { DurationEstimator } from "../core/durationEstimator";
import { ToyClient } from "./client";
import { resolveToy } from "./connection";

export const toy: ConnectionKind<ToyContext> = {
  kind: "toy",
  open(request) {
    const settings = resolveToy(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new ToyContext(new ToyClient(settings, { patience: request.patience }));
  },
  close: ({ client }) => client.logOut(),
};

export class ToyContext {
  /** How long copies take, so that the first look at the next one comes when it is probably ready. */
  readonly creation = new DurationEstimator();
  readonly deletion = new DurationEstimator();

  constructor(readonly client: ToyClient) {}
}
