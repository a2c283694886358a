// The targets of the other resources, twenty of each.

import { round } from "./figures";
import type { OtherResource } from "./others";
import type { Target } from "./targets";

interface Aim {
  /** Requests of `up`: half of what they were on 21 November 2026. */
  requests: number;
  /** The emulator's own seconds for one of them, which no provider can save. */
  backend: { up: number; destroy: number };
}

const AIMS: Readonly<Record<string, Aim>> = {
  // Twenty steps of a fifth of a second.
  VolumeClone: { requests: 228, backend: { up: 4, destroy: 1 } },
  LinkedTargetSet: { requests: 152, backend: { up: 2, destroy: 1 } },
  // An image and a clone of a second each, and the name; a destroy and an expunge of half a second each.
  ClonedVm: { requests: 293, backend: { up: 2.5, destroy: 1 } },
};
const MOST = 1.15;

export function judgeOthers(measured: readonly OtherResource[]): Target[] {
  return measured.flatMap(({ resource, n, upRequests, null: nothing, ...seconds }): Target[] => {
    const aim = AIMS[resource];
    if (aim === undefined) return [];
    const ratio = (what: "up" | "destroy"): Target => {
      const value = round(seconds[what].median / (nothing[what].median + aim.backend[what]), 2);
      return {
        what: `${what} / (null + backend), ${n} of ${resource}`,
        target: `≤ ${MOST}`,
        measured: `${value}`,
        met: value <= MOST,
      };
    };
    const requests: Target = {
      what: `requests of up, ${n} of ${resource}`,
      target: `≤ ${aim.requests}`,
      measured: `${upRequests}`,
      met: upRequests <= aim.requests,
    };
    return [requests, ratio("up"), ratio("destroy")];
  });
}
