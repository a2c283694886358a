// CinderClient against responses that a test writes.

import { blockStorageAddress } from "../../../provider/openstack/urls";
import { failure } from "../../support/failures";
import { cinderOf, fault, NO_ROUTE, SNAPSHOT, VOLUME, versions } from "./cinderFixture";
import { type Call, isLogin, PROJECT, type Reply } from "./openstackContext";

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
  expect((await strange.cinder.listSnapshotsDetail()).snapshots).toEqual([]);
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
        /\/snapshots(\/detail)?$/.test(call.path)
          ? fault(406, "computeFault", "Version 3.66 is not supported by the API. Minimum is 3.0 and maximum is 3.43.")
          : NO_ROUTE,
      "3.43",
    ],
    [
      "is read from the response's header",
      (call) =>
        /\/snapshots(\/detail)?$/.test(call.path)
          ? { ...list, headers: { "openstack-api-version": "volume 3.66" } }
          : NO_ROUTE,
      "3.66",
    ],
    [
      "is 3.0 for an API without microversions",
      (call) => (/\/snapshots(\/detail)?$/.test(call.path) ? list : versions("2.93", "v2.1")),
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
    expect([error.kind, error.message]).toEqual(["transient", expect.stringContaining("Run again")]);
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
  const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
  const [A, B, C, D] = [idOf(1), idOf(2), idOf(3), idOf(4)];
  const link = (marker: string) => [
    { rel: "next", href: `http://internal.invalid:1/v3/p/snapshots?limit=2&marker=${marker}` },
  ];

  it("list: a page that is too large is requested again in smaller pages", async () => {
    const all = Array.from({ length: 600 }, (_, n) => row(idOf(n), { description: "x".repeat(30_000) }));
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
    ).toEqual(["status=available", "status=available&limit=250", `status=available&limit=250&marker=${idOf(249)}`]);
  });

  it("list: every page has the marker and the filters, and only the first has the offset", async () => {
    const pages: Record<string, object> = {
      "": { snapshots: [row(A), row(B)], snapshots_links: link(B), count: 3 },
      [B]: { snapshots: [row(C), row(D)], snapshots_links: link(D) },
      [D]: { snapshots: [] },
    };
    const { cinder, sent } = await cinderOf((call) => ({ body: pages[call.query.get("marker") ?? ""] }));
    const query = { limit: 2, offset: 1, status: "available", all_tenants: true, with_count: true, name: undefined };
    const list = await cinder.listSnapshotsDetail(query);
    expect([list.snapshots.map(({ id }) => id), list.count]).toEqual([[A, B, C, D], 3]);
    const first = "limit=2&offset=1&status=available&all_tenants=true&with_count=true";
    const others = first.replace("&offset=1", "");
    expect(sent().map((call) => call.query.toString())).toEqual([
      first,
      `${others}&marker=${B}`,
      `${others}&marker=${D}`,
    ]);
    expect(new Set(sent().map((call) => call.path))).toEqual(new Set([`/v3/${PROJECT}/snapshots/detail`]));
  });

  it("list: a link back to an earlier page is an error", async () => {
    const { cinder } = await cinderOf((call) => ({
      body: { snapshots: [row(A)], snapshots_links: link(call.query.get("marker") === "x" ? "y" : "x") },
    }));
    expect((await failure(cinder.listSnapshotsDetail())).kind).toBe("malformed");
    const nowhere = await cinderOf(() => ({ body: { snapshots: [], snapshots_links: [{ rel: "next", href: "?" }] } }));
    expect((await failure(nowhere.cinder.listSnapshotsDetail())).kind).toBe("malformed");
  });

  it("list: begins again if the last row of a page was deleted, and is never reported as gone", async () => {
    let lost = 1;
    const { cinder, sent } = await cinderOf((call) => {
      if (!call.query.has("marker")) return { body: { snapshots: [row(A)], snapshots_links: link(A) } };
      lost -= 1;
      return lost >= 0
        ? fault(404, "itemNotFound", "Snapshot a could not be found.")
        : { body: { snapshots: [row(B)] } };
    });
    expect((await cinder.listSnapshotsDetail()).snapshots.map(({ id }) => id)).toEqual([A, B]);
    expect(sent()).toHaveLength(4);
    lost = 99;
    expect((await failure(cinder.listSnapshotsDetail())).kind).toBe("transient");
  });

  it("list: returns only rows with the wanted metadata, even if Cinder ignores the filter", async () => {
    const mine = row(A, { metadata: { "snapclone:phase": "open", other: "x" } });
    const { cinder, sent } = await cinderOf(() => ({ body: { snapshots: [mine, row(B)] } }), { max: "3.21" });
    const { snapshots } = await cinder.listSnapshotsDetail({ metadata: { "snapclone:phase": "open" } });
    expect(snapshots.map(({ id }) => id)).toEqual([A]);
    expect(sent()[0]?.query.get("metadata")).toBe('{"snapclone:phase":"open"}');
  });
});

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
