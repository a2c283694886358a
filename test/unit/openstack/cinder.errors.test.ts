// CinderClient: what it makes of Cinder's errors, and of any other JSON.

import fc from "fast-check";
import { type ErrorKind, SnapcloneError } from "../../../provider/core/errors";
import { missingObject } from "../../../provider/openstack/cinderErrors";
import { failure } from "../../support/failures";
import { cinderOf, fault, NO_ROUTE, SNAPSHOT, VOLUME } from "./cinderFixture";
import { PROJECT, type Reply } from "./openstackContext";

describe("errors (docs/wire/openstack.md#a10)", () => {
  const v = `Volume ${VOLUME}`;
  const cases: [string, Reply, ErrorKind, "snapshot" | "volume" | "metadataKey" | undefined, string][] = [
    [
      "a snapshot that is gone",
      fault(404, "itemNotFound", `Snapshot ${SNAPSHOT} could not be found.`),
      "notFound",
      "snapshot",
      "another project",
    ],
    [
      "a volume that is gone",
      fault(404, "itemNotFound", `${v} could not be found.`),
      "notFound",
      "volume",
      "another project",
    ],
    [
      "a key that is gone",
      fault(404, "itemNotFound", `Snapshot ${SNAPSHOT} has no metadata with key c.`),
      "notFound",
      "metadataKey",
      "the metadata key does not",
    ],
    [
      "a call of a later version",
      fault(404, "itemNotFound", "The resource could not be found."),
      "refused",
      undefined,
      "older than the call",
    ],
    ["a wrong address", NO_ROUTE, "config", undefined, "endpoint"],
    [
      "a proxy's 404",
      { status: 404, headers: { "content-type": "text/html" }, body: "<html>" },
      "refused",
      undefined,
      "an HTML page",
    ],
    [
      "a full quota",
      {
        ...(fault(413, "overLimit", "SnapshotLimitExceeded: Maximum number of snapshots allowed (10) exceeded", {
          retryAfter: "0",
        }) as object),
        headers: { "retry-after": "0" },
      },
      "refused",
      undefined,
      "quota is full",
    ],
    [
      "a full quota of gigabytes",
      fault(
        413,
        "overLimit",
        "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 1G, quota is 3G and 3G has been consumed.",
      ),
      "refused",
      undefined,
      "quota is full",
    ],
    [
      "metadata too long",
      fault(413, "overLimit", "Invalid metadata size: Metadata property key k value greater than 255 characters."),
      "refused",
      undefined,
      "at most 255",
    ],
    [
      "policy",
      fault(403, "forbidden", "Policy doesn't allow volume:create_snapshot to be performed."),
      "forbidden",
      undefined,
      "policy rule volume:create_snapshot",
    ],
    ["another 403", { status: 403, body: "" }, "forbidden", undefined, "403"],
    [
      "another project in the address",
      fault(400, "badRequest", "Malformed request url"),
      "refused",
      undefined,
      "not the token's",
    ],
    [
      "an attached volume below 3.66",
      fault(400, "badRequest", `Invalid volume: ${v} status must be available, but current status is: in-use.`),
      "refused",
      undefined,
      "`force: true`",
    ],
    [
      "a busy volume",
      fault(
        400,
        "badRequest",
        `Invalid volume: ${v} status must be available, in-use, but current status is: creating.`,
      ),
      "refused",
      undefined,
      "dependsOn",
    ],
    [
      "a failed volume",
      fault(400, "badRequest", "Invalid volume: The snapshot cannot be created when the volume is in error status."),
      "refused",
      undefined,
      "repair or replace",
    ],
    [
      "a volume in maintenance",
      fault(
        400,
        "badRequest",
        "Invalid volume: The snapshot cannot be created when the volume is in maintenance mode.",
      ),
      "refused",
      undefined,
      "has ended",
    ],
    [
      "a migrating volume",
      fault(400, "badRequest", "Invalid volume: Snapshot cannot be created while volume is migrating."),
      "refused",
      undefined,
      "being moved",
    ],
    [
      "a volume without a host",
      fault(400, "badRequest", "Invalid volume: volume is not assigned to a host"),
      "refused",
      undefined,
      "not on any backend yet",
    ],
    [
      "a snapshot that can't be deleted",
      fault(
        400,
        "badRequest",
        "Invalid snapshot: Snapshot status must be available or error and must not be part of a group.",
      ),
      "refused",
      undefined,
      "group snapshot",
    ],
    [
      "a filter that isn't allowed",
      fault(400, "badRequest", "Invalid filters bogus are found in query options."),
      "refused",
      undefined,
      "resource_filters.json",
    ],
    [
      "a line break",
      fault(
        400,
        "badRequest",
        `Invalid input for field/attribute description. Value: a\nb. 'a\\nb' does not match '^[${"\\\\ -\\\\~".repeat(2000)}]*$'`,
      ),
      "refused",
      undefined,
      "no line break",
    ],
    [
      "a name for an id",
      fault(
        400,
        "badRequest",
        "Invalid input for field/attribute volume_id. Value: zzz. 'zzz' is not valid under any of the given schemas",
      ),
      "refused",
      undefined,
      "(a UUID)",
    ],
    [
      "an error inside, asked for a read",
      fault(500, "computeFault", "The server has either erred"),
      "transient",
      undefined,
      "request id",
    ],
    [
      "a proxy's 503",
      { status: 503, headers: { "content-type": "text/html" }, body: "<title>503 Service Unavailable</title>" },
      "transient",
      undefined,
      "503 Service Unavailable",
    ],
    ["not implemented", fault(501, "notImplemented", "no"), "refused", undefined, "501"],
  ];
  it.each(cases)("error: %s", async (_name, reply, kind, missing, text) => {
    const { cinder } = await cinderOf(() => reply);
    const error = await failure(cinder.showSnapshot(SNAPSHOT));
    expect([error.kind, missingObject(error)]).toEqual([kind, missing]);
    expect(error.message).toContain(text);
    expect(error.message.length).toBeLessThan(1_500);
  });

  it("create: is never repeated if it may have taken effect, nor for a full quota", async () => {
    const replies: [Reply, ErrorKind][] = [
      [{ status: 503, body: "" }, "ambiguous"],
      [fault(500, "computeFault", "oops"), "ambiguous"],
      ["reset", "ambiguous"],
      [{ status: 202, body: { snapshot: { id: SNAPSHOT } } }, "ambiguous"],
      [
        { ...(fault(413, "overLimit", "SnapshotLimitExceeded: full") as object), headers: { "retry-after": "0" } },
        "refused",
      ],
    ];
    for (const [reply, kind] of replies) {
      const { cinder, sent } = await cinderOf(() => reply);
      expect((await failure(cinder.createSnapshot({ volume_id: VOLUME }))).kind).toBe(kind);
      expect(sent()).toHaveLength(1);
    }
  });

  it("metadata key and id: a value that would change the URL is refused", async () => {
    const { cinder, sent } = await cinderOf(() => ({ body: {} }));
    for (const key of ["", ".", "..", "a/b", "é"]) {
      expect((await failure(cinder.deleteSnapshotMetadataKey(SNAPSHOT, key))).kind).toBe("input");
    }
    for (const id of ["", ".", ".."]) expect((await failure(cinder.deleteSnapshot(id))).kind).toBe("input");
    expect(sent()).toEqual([]);
    await cinder.deleteSnapshotMetadataKey("a/../b", "%2e%2e ?#");
    expect(sent()[0]?.path).toBe(`/v3/${PROJECT}/snapshots/a%2F..%2Fb/metadata/%252e%252e%20%3F%23`);
  });

  it("whyError: repeats Cinder's newest message if there is one", async () => {
    const message = (created_at: string, user_message: string, resource_uuid = SNAPSHOT) => ({
      id: created_at,
      created_at,
      user_message,
      resource_uuid,
      request_id: "req-1",
    });
    const messages = [
      message("2026-01-01", "old"),
      message("2026-01-02", "new"),
      message("2026-01-03", "foreign", VOLUME),
    ];
    for (const [max, expected, query] of [
      ["3.66", "new (request id req-1)", `resource_uuid=${SNAPSHOT}&sort=created_at%3Adesc&limit=20`],
      ["3.4", "new (request id req-1)", ""],
      ["3.0", undefined, undefined],
    ] as const) {
      const { cinder, sent } = await cinderOf(() => ({ body: { messages } }), { max });
      expect(await cinder.whyError(SNAPSHOT)).toBe(expected);
      expect(sent()[0]?.query.toString()).toBe(query);
    }
    const { cinder } = await cinderOf(() => "reset");
    expect(await cinder.whyError(SNAPSHOT)).toBeUndefined();
  });
});

describe("with any JSON", () => {
  const text = fc.oneof(fc.string(), fc.jsonValue());
  const snapshot = fc.record(
    {
      id: fc.oneof(fc.constant(SNAPSHOT), text),
      volume_id: text,
      status: text,
      size: fc.oneof(fc.nat(), fc.jsonValue()),
      metadata: fc.oneof(fc.dictionary(fc.string(), fc.string()), fc.jsonValue()),
      name: text,
      created_at: text,
    },
    { requiredKeys: [] },
  );
  const body = fc.oneof(
    fc.jsonValue(),
    fc.record({ snapshot: fc.oneof(snapshot, fc.jsonValue()) }),
    fc.record({ snapshots: fc.oneof(fc.array(snapshot, { maxLength: 3 }), fc.jsonValue()) }),
    fc.record({ metadata: fc.oneof(fc.dictionary(fc.string(), text), fc.jsonValue()) }),
    fc.record({ meta: fc.oneof(fc.record({ k: text }), fc.jsonValue()) }),
    fc.record({ messages: fc.jsonValue(), volume: fc.jsonValue(), limits: fc.jsonValue() }),
    fc.dictionary(fc.string(), fc.record({ code: fc.jsonValue(), message: text }, { requiredKeys: [] })),
  );
  const strings = (value: object) => Object.values(value).every((entry) => typeof entry === "string");
  const sound = ({ id, volume_id, status, size, metadata, name, created_at }: Record<string, unknown>) =>
    [id, volume_id, status].every((field) => typeof field === "string") &&
    typeof size === "number" &&
    typeof metadata === "object" &&
    metadata !== null &&
    strings(metadata) &&
    [name, created_at].every((field) => field === null || typeof field === "string");

  it("calls: return a complete value or throw a SnapcloneError", async () => {
    let reply: Reply = "hang";
    const { cinder } = await cinderOf(() => reply);
    const calls: [string, () => Promise<unknown>, (value: never) => boolean][] = [
      ["create", () => cinder.createSnapshot({ volume_id: VOLUME }), sound],
      ["show", () => cinder.showSnapshot(SNAPSHOT), sound],
      ["update", () => cinder.updateSnapshot(SNAPSHOT, { name: "x" }), sound],
      [
        "detail",
        () => cinder.listSnapshotsDetail(),
        (list: { snapshots: Record<string, unknown>[] }) => list.snapshots.every(sound),
      ],
      ["metadata", () => cinder.showSnapshotMetadata(SNAPSHOT), strings],
      ["merge", () => cinder.createSnapshotMetadata(SNAPSHOT, {}), strings],
      ["replace", () => cinder.replaceSnapshotMetadata(SNAPSHOT, {}), strings],
      ["volume", () => cinder.showVolume(VOLUME), (value: { id: unknown }) => typeof value.id === "string"],
      ["messages", () => cinder.listMessages(SNAPSHOT), (rows: unknown) => Array.isArray(rows)],
      ["why", () => cinder.whyError(SNAPSHOT), (value: unknown) => value === undefined || typeof value === "string"],
    ];
    await fc.assert(
      fc.asyncProperty(body, fc.constantFrom(200, 200, 200, 202, 300, 400, 404, 413, 500), async (json, status) => {
        reply = { status, body: json };
        for (const [name, call, good] of calls) {
          const outcome: unknown = await call().catch((error: unknown) => error);
          if (!(outcome instanceof SnapcloneError) && !good(outcome as never)) {
            throw new Error(`${name} gave ${outcome instanceof Error ? outcome.stack : JSON.stringify(outcome)}`);
          }
        }
      }),
      { numRuns: 100 },
    );
  }, 60_000);
});
