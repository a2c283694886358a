// CinderClient against responses that a test writes.

import fc from "fast-check";
import { type ErrorKind, SnapcloneError } from "../../../provider/core/errors";
import { CinderClient } from "../../../provider/openstack/cinder";
import { missingObject } from "../../../provider/openstack/cinderErrors";
import { KeystoneSession } from "../../../provider/openstack/keystone";
import { blockStorageAddress } from "../../../provider/openstack/urls";
import {
  type Call,
  type Cloud,
  fakeClock,
  isLogin,
  PROJECT,
  type Reply,
  settingsFor,
  startCloud,
  tokenReply,
} from "./openstackContext";

const SNAPSHOT = "9b9e0504-bec0-4e6d-a5ba-83cce6a19555";
const VOLUME = "808d0720-70a7-4e92-8dff-d516ff6dce06";

function row(id: string, more: object = {}) {
  return {
    id,
    created_at: "2026-11-21T01:43:31.709994",
    updated_at: null,
    name: "n",
    description: null,
    volume_id: VOLUME,
    status: "available",
    size: 1,
    metadata: {},
    ...more,
  };
}

const versions = (max: string, id = "v3.0"): Reply => ({
  status: 300,
  body: {
    versions: [
      { id, status: "CURRENT", version: max, min_version: "3.0", links: [{ rel: "self", href: "http://x/" }] },
    ],
  },
});
const NO_ROUTE: Reply = {
  status: 404,
  body: { message: "The resource could not be found.<br /><br />\n\n\n", code: "404 Not Found", title: "Not Found" },
};
const fault = (status: number, name: string, message: string, more: object = {}): Reply => ({
  status,
  body: { [name]: { code: status, message, ...more } },
});

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

/** A Cinder that lists its versions. The test writes every other response. */
async function cinderOf(
  answer: (call: Call) => Reply | Promise<Reply>,
  { max = "3.70", endpoint = "/v3" }: { max?: string; endpoint?: string } = {},
): Promise<{ cinder: CinderClient; cloud: Cloud; sent: () => Call[] }> {
  const cloud = await startCloud((call) => {
    if (isLogin(call)) return tokenReply("token-1");
    return call.path === "/" && max !== "" ? versions(max) : answer(call);
  });
  const changes = { endpointOverride: { blockStorage: `${cloud.url}${endpoint}` } };
  const session = new KeystoneSession(settingsFor(cloud.url, changes), { clock: fakeClock() });
  endings.push(
    () => session.close(),
    () => cloud.close(),
  );
  return {
    cinder: new CinderClient(session),
    cloud,
    sent: () => cloud.calls.filter((call) => call.path.includes(PROJECT)),
  };
}

async function failure(work: Promise<unknown>): Promise<SnapcloneError> {
  const error: unknown = await work.then(
    () => new Error("it went well"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof SnapcloneError)) throw error;
  return error;
}

describe("blockStorageAddress", () => {
  const p = PROJECT;
  const cases: [string, string, string][] = [
    ["http://h:8776", "http://h:8776", `http://h:8776/v3/${p}`],
    ["http://h:8776/v3", "http://h:8776", `http://h:8776/v3/${p}`],
    [`http://h:8776/v3/${p}/`, "http://h:8776", `http://h:8776/v3/${p}`],
    [`https://h/volume/v3/${p}`, "https://h/volume", `https://h/volume/v3/${p}`],
    ["https://h/volume", "https://h/volume", `https://h/volume/v3/${p}`],
    ["https://h/volume/v3/%(project_id)s", "https://h/volume", `https://h/volume/v3/${p}`],
    [
      `https://h/powervc/openstack/volume/v1/${p}`,
      "https://h/powervc/openstack/volume",
      `https://h/powervc/openstack/volume/v3/${p}`,
    ],
  ];
  it.each(cases)("blockStorageAddress: %s", (endpoint, root, api) => {
    expect(blockStorageAddress(endpoint, p)).toEqual({ root, api });
  });
});

it("create and show: an id that cannot stand in a URL is malformed, and so is a version that cannot stand in a header", async () => {
  const { cinder } = await cinderOf(({ method }) => ({ status: 202, body: { snapshot: row(`x/${method}`) } }));
  // A snapshot recorded under this id could never be found again: the create has to search for its record.
  expect((await failure(cinder.createSnapshot({ volume_id: VOLUME }))).kind).toBe("ambiguous");
  expect((await failure(cinder.showSnapshot(SNAPSHOT))).kind).toBe("malformed");
  const strange = await cinderOf(() => ({ body: { snapshots: [] } }), { max: "3.70\nx: y" });
  expect((await strange.cinder.listSnapshots()).snapshots).toEqual([]);
  expect(strange.sent().every(({ headers }) => headers["openstack-api-version"] !== undefined)).toBe(true);
});

it("metadata: the merging request is repeated, since it is idempotent", async () => {
  const replies: Reply[] = [{ status: 503, body: "" }, "reset", { body: { metadata: { a: "1" } } }];
  const { cinder } = await cinderOf(() => replies.shift() ?? { status: 500, body: "" });
  expect(await cinder.createSnapshotMetadata(SNAPSHOT, { a: "1" })).toEqual({ a: "1" });
});

describe("the microversion", () => {
  const list = { body: { snapshots: [] } };
  const cases: [string, (call: Call) => Reply, string][] = [
    ["is the lower of both", (call) => (call.path === "/" ? versions("3.70") : list), "3.66"],
    ["is an older Cinder's", (call) => (call.path === "/" ? versions("3.59") : list), "3.59"],
    ["is 3.0 for a Cinder without later versions", (call) => (call.path === "/" ? versions("3.0") : list), "3.0"],
    [
      "is read from /v3/ if the root has no route",
      (call) => (call.path === "/v3/" ? versions("3.62") : NO_ROUTE),
      "3.62",
    ],
    [
      "is read from /v3/ if the root is a web page",
      (call) =>
        call.path === "/v3/" ? versions("3.62") : { headers: { "content-type": "text/html" }, body: "<html>" },
      "3.62",
    ],
    [
      "is read from /v3/ if the root is Keystone's",
      (call) => (call.path === "/v3/" ? versions("3.62") : { status: 300, body: { versions: { values: [] } } }),
      "3.62",
    ],
    [
      "is read from a 406 if there is no list of versions",
      (call) =>
        call.path.endsWith("/snapshots")
          ? fault(406, "computeFault", "Version 3.66 is not supported by the API. Minimum is 3.0 and maximum is 3.43.")
          : NO_ROUTE,
      "3.43",
    ],
    [
      "is read from the response's header",
      (call) =>
        call.path.endsWith("/snapshots") ? { ...list, headers: { "openstack-api-version": "volume 3.66" } } : NO_ROUTE,
      "3.66",
    ],
    [
      "is 3.0 for an API without microversions",
      (call) => (call.path.endsWith("/snapshots") ? list : versions("2.93", "v2.1")),
      "3.0",
    ],
  ];
  it.each(cases)("microversion: %s", async (_name, answer, expected) => {
    const { cinder } = await cinderOf(answer, { max: "" });
    expect(await cinder.microversion()).toBe(expected);
    expect(await cinder.atLeast("3.5")).toBe(expected !== "3.0");
  });

  it("microversion: 50 requests at a time negotiate once, and each sends the version", async () => {
    const { cinder, cloud, sent } = await cinderOf(() => ({ body: { snapshot: row(SNAPSHOT) } }));
    await Promise.all(Array.from({ length: 50 }, () => cinder.showSnapshot(SNAPSHOT)));
    expect([cloud.count("GET", /^\/$/), cloud.calls.filter(isLogin).length]).toEqual([1, 1]);
    expect(new Set(sent().map((call) => call.headers["openstack-api-version"]))).toEqual(new Set(["volume 3.66"]));
    expect(sent()).toHaveLength(50);
  });

  it("microversion: is negotiated again after a failure, and after a 406", async () => {
    const maxima = ["", "3.66", "3.59"];
    const { cinder } = await cinderOf(
      (call) => {
        if (call.path === "/") return versions(maxima[0] ?? "");
        return call.headers["openstack-api-version"] === "volume 3.66"
          ? fault(406, "computeFault", "Version 3.66 is not supported by the API. Minimum is 3.0 and maximum is 3.59.")
          : { body: { snapshot: row(SNAPSHOT) } };
      },
      { max: "" },
    );
    maxima.shift();
    const error = await failure(cinder.showSnapshot(SNAPSHOT));
    expect([error.kind, error.message]).toEqual(["refused", expect.stringContaining("Run again")]);
    maxima.shift();
    expect((await cinder.showSnapshot(SNAPSHOT)).id).toBe(SNAPSHOT);
    expect(await cinder.microversion()).toBe("3.59");
  });

  it("create: sends force only below 3.66 (docs/wire/openstack.md#a5)", async () => {
    for (const [max, force, expected] of [
      ["3.65", true, true],
      ["3.65", false, false],
      ["3.65", undefined, undefined],
      ["3.66", true, undefined],
      ["3.66", false, undefined],
    ] as const) {
      const { cinder, sent } = await cinderOf(() => ({ status: 202, body: { snapshot: row(SNAPSHOT) } }), { max });
      await cinder.createSnapshot({ volume_id: VOLUME, force });
      const snapshot = { volume_id: VOLUME, ...(expected === undefined ? {} : { force: expected }) };
      expect(sent()[0]?.body).toEqual({ snapshot });
    }
  });
});

describe("lists", () => {
  const link = (marker: string) => [
    { rel: "next", href: `http://internal.invalid:1/v3/p/snapshots?limit=2&marker=${marker}` },
  ];

  it("list: a page that is too large is requested again in smaller pages", async () => {
    const all = Array.from({ length: 600 }, (_, n) => row(`s-${n}`, { description: "x".repeat(30_000) }));
    const { cinder, sent } = await cinderOf((call) => {
      const from = all.findIndex(({ id }) => id === call.query.get("marker")) + 1;
      const limit = Number(call.query.get("limit") ?? 1000);
      const page = all.slice(from, from + limit);
      const more = from + limit < all.length ? link(page.at(-1)?.id ?? "") : [];
      return { body: { snapshots: page, ...(more.length > 0 ? { snapshots_links: more } : {}) } };
    });
    const { snapshots } = await cinder.listSnapshotsDetail({ status: "available" });
    expect(snapshots.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
    expect(
      sent()
        .map((call) => call.query.toString())
        .slice(0, 3),
    ).toEqual(["status=available", "status=available&limit=250", "status=available&limit=250&marker=s-249"]);
  });

  it("list: every page has the marker and the filters, and only the first has the offset", async () => {
    const pages: Record<string, object> = {
      "": { snapshots: [row("a"), row("b")], snapshots_links: link("b"), count: 3 },
      b: { snapshots: [row("c"), row("d")], snapshots_links: link("d") },
      d: { snapshots: [] },
    };
    const { cinder, sent } = await cinderOf((call) => ({ body: pages[call.query.get("marker") ?? ""] }));
    const query = { limit: 2, offset: 1, status: "available", all_tenants: true, with_count: true, name: undefined };
    const list = await cinder.listSnapshotsDetail(query);
    expect([list.snapshots.map(({ id }) => id), list.count]).toEqual([["a", "b", "c", "d"], 3]);
    const first = "limit=2&offset=1&status=available&all_tenants=true&with_count=true";
    const others = first.replace("&offset=1", "");
    expect(sent().map((call) => call.query.toString())).toEqual([first, `${others}&marker=b`, `${others}&marker=d`]);
    expect(new Set(sent().map((call) => call.path))).toEqual(new Set([`/v3/${PROJECT}/snapshots/detail`]));
  });

  it("list: a link back to an earlier page is an error", async () => {
    const { cinder } = await cinderOf((call) => ({
      body: { snapshots: [row("a")], snapshots_links: link(call.query.get("marker") === "x" ? "y" : "x") },
    }));
    expect((await failure(cinder.listSnapshots())).kind).toBe("malformed");
    const nowhere = await cinderOf(() => ({ body: { snapshots: [], snapshots_links: [{ rel: "next", href: "?" }] } }));
    expect((await failure(nowhere.cinder.listSnapshots())).kind).toBe("malformed");
  });

  it("list: begins again if the last row of a page was deleted, and is never reported as gone", async () => {
    let lost = 1;
    const { cinder, sent } = await cinderOf((call) => {
      if (!call.query.has("marker")) return { body: { snapshots: [row("a")], snapshots_links: link("a") } };
      lost -= 1;
      return lost >= 0
        ? fault(404, "itemNotFound", "Snapshot a could not be found.")
        : { body: { snapshots: [row("b")] } };
    });
    expect((await cinder.listSnapshots()).snapshots.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(sent()).toHaveLength(4);
    lost = 99;
    expect((await failure(cinder.listSnapshots())).kind).toBe("transient");
  });

  it("list: returns only rows with the wanted metadata, even if Cinder ignores the filter", async () => {
    const mine = row("mine", { metadata: { "snapclone:phase": "open", other: "x" } });
    const { cinder, sent } = await cinderOf(() => ({ body: { snapshots: [mine, row("foreign")] } }), { max: "3.21" });
    const { snapshots } = await cinder.listSnapshotsDetail({ metadata: { "snapclone:phase": "open" } });
    expect(snapshots.map(({ id }) => id)).toEqual(["mine"]);
    expect(sent()[0]?.query.get("metadata")).toBe('{"snapclone:phase":"open"}');
  });
});

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
        "list",
        () => cinder.listSnapshots(),
        (list: { snapshots: Record<string, unknown>[] }) => list.snapshots.every(sound),
      ],
      [
        "detail",
        () => cinder.listSnapshotsDetail(),
        (list: { snapshots: Record<string, unknown>[] }) => list.snapshots.every(sound),
      ],
      ["metadata", () => cinder.showSnapshotMetadata(SNAPSHOT), strings],
      ["merge", () => cinder.createSnapshotMetadata(SNAPSHOT, {}), strings],
      ["replace", () => cinder.replaceSnapshotMetadata(SNAPSHOT, {}), strings],
      ["key", () => cinder.showSnapshotMetadataKey(SNAPSHOT, "k"), (value: unknown) => typeof value === "string"],
      [
        "put key",
        () => cinder.updateSnapshotMetadataKey(SNAPSHOT, "k", "v"),
        (value: unknown) => typeof value === "string",
      ],
      ["volume", () => cinder.showVolume(VOLUME), (value: { id: unknown }) => typeof value.id === "string"],
      ["messages", () => cinder.listMessages(SNAPSHOT), (rows: unknown) => Array.isArray(rows)],
      ["limits", () => cinder.limits(), (value: unknown) => typeof value === "object" && value !== null],
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
