// The revert of a Snapshot in the fault table: the requests that only a changed `revertTriggers` sends.

import { at, pending, type RequestSite, type ResourceUnderTest, recorded } from "./resourceUnderTest";
import { get, post, request, within, withinFirst } from "./sites";

const SITES = {
  volume: request(
    "update",
    "change",
    get(/\/volumes\/[0-9a-f-]{36}$/),
    "`GET /volumes/{id}`",
    within("volume", ["id", "status", "size", "attachments", "updated_at"]),
    { success: [1, 3], failure: [1, 0] },
  ),
  newer: request(
    "update",
    "change",
    get(/\/snapshots\/detail/),
    "`GET /snapshots/detail` (newer ones)",
    withinFirst("snapshots", ["id", "volume_id", "created_at", "name", "metadata"]),
    { success: [1, 3], failure: [1, 0] },
  ),
  note: request(
    "update",
    "change",
    post(/\/snapshots\/[0-9a-f-]{36}\/metadata$/),
    "`POST /snapshots/{id}/metadata` (the record)",
    ["metadata", "metadata.tier"],
    { success: [1, 2], failure: [1, 0], counted: true },
  ),
  ask: request("update", "changeOnce", post(/\/volumes\/[0-9a-f-]{36}\/action$/), "`POST /volumes/{id}/action`", [], {
    success: [1, 2],
    failure: [1, 1],
    counted: true,
  }),
} satisfies Record<string, RequestSite>;

/** `snapshot` is the Snapshot of the fault table. */
export const reverted = ({
  expectations: _,
  sites: __,
  lookUp: ___,
  before,
  ...shared
}: ResourceUnderTest): ResourceUnderTest => ({
  ...shared,
  title: "Snapshot, reverted",
  before: { ...before, revertTriggers: ["1"] },
  after: { ...before, revertTriggers: ["2"] },
  sites: SITES,
  expectations: {
    "404, in the service's own words": {
      // None of these says that the snapshot of the state is gone.
      volume: recorded("failed", at(1, 0), /volume \S+ does not exist any more; nothing was reverted/),
      newer: recorded("transient", at(1, 0), /could not be found/),
      note: recorded("transient", at(1, 1), /could not be found/),
      ask: recorded("transient", at(1, 2), /could not be found/),
    },
    "10 MB of garbage": {
      // A 200 to a request that was not carried out: Cinder is asked, not believed.
      ask: pending("transient", at(1, 2), /does not show that it has begun/, "update"),
    },
    "an object in a status nobody has heard of": {
      volume: recorded("refused", at(1, 0), /is in status "quantum-folding".*nothing was reverted/),
    },
  },
  notFound: (site) => {
    const message =
      site === "volume" || site === "ask"
        ? "Volume 11111111-1111-4111-8111-111111111111 could not be found."
        : "Snapshot 9b9e0504-bec0-4e6d-a5ba-83cce6a19555 could not be found.";
    return { status: 404, body: { itemNotFound: { code: 404, message } } };
  },
});
