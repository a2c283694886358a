// The emulator's image service: what a real Glance answered to the same requests (docs/wire/openstack.md#glance).

import { type Emulator, SEED_IMAGE, startEmulator } from "../../emulator";

const PLAIN = "55555555-0000-4000-8000-000000000001";
const QUEUED = "55555555-0000-4000-8000-000000000002";
const COMMUNITY = "55555555-0000-4000-8000-000000000003";
const UNKNOWN = "99999999-9999-4999-8999-999999999999";

let emulator: Emulator;
const tokens: Record<string, string> = {};

beforeAll(async () => {
  emulator = await startEmulator({ clock: "instant" });
  const { glance, keystone } = emulator;
  glance.images.clear();
  const first = Date.UTC(2026, 10, 28) / 1000;
  const at = (second: number) => ({ created_at: first + second, updated_at: first + second });
  const mine = { visibility: "private", min_disk: 2, tags: ["x", "y"], properties: { os_distro: "debian" } } as const;
  glance.createImage({ id: PLAIN, name: "a", content: Buffer.from("hello\n"), ...mine, tags: ["x", "y"], ...at(0) });
  glance.createImage({ id: QUEUED, name: "b", status: "queued", ...at(1) });
  glance.createImage({ id: COMMUNITY, name: "c", content: Buffer.from("ccccc"), visibility: "community", ...at(2) });
  for (const name of ["demo", "other"]) {
    const userId = keystone.userNamed(name).id;
    const projectId = keystone.projectNamed(name).id;
    const login = { userId, projectId, methods: ["password"], system: false, roles: ["member"] };
    tokens[name] = keystone.issue({ ...login, applicationCredentialId: null }).id;
  }
});
afterAll(() => emulator.close());

const get = async (path: string, user = "demo", accept = "application/json") => {
  const headers = { "X-Auth-Token": tokens[user] ?? "none", Accept: accept };
  const answer = await fetch(`${emulator.url}/image${path}`, { headers });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
};
const list = async (query: string, user?: string) => {
  const { status, text } = await get(`/v2/images${query}`, user);
  const body = JSON.parse(text) as { images?: { id: string }[]; first?: string; next?: string; message?: string };
  return { status, ...body, names: body.images?.map(({ id }) => id) };
};

test.each([
  ["", [COMMUNITY, QUEUED, PLAIN]],
  ["?sort=name:asc", [PLAIN, QUEUED, COMMUNITY]],
  ["?sort_key=size&sort_dir=asc", [QUEUED, COMMUNITY, PLAIN]],
  ["?limit=0", []],
  [`?marker=${COMMUNITY}`, [QUEUED, PLAIN]],
  ["?visibility=private", [PLAIN]],
  ["?visibility=community", [COMMUNITY]],
  ["?os_hidden=True", []],
  ["?protected=false", [COMMUNITY, QUEUED, PLAIN]],
  ["?tag=x&tag=y", [PLAIN]],
  ["?tag=x&tag=z", []],
  ["?os_distro=debian", [PLAIN]],
  ["?status=in:active,killed", [COMMUNITY, PLAIN]],
  ["?name=in:a,b", [QUEUED, PLAIN]],
  ["?size_max=5", [COMMUNITY]],
  ["?size_min=6", [PLAIN]],
  [`?id=${PLAIN}`, [PLAIN]],
])("list %s", async (query, ids) => {
  expect(await list(query)).toMatchObject({ status: 200, names: ids });
});

test.each([
  ["?limit=x", "limit param must be an integer"],
  ["?limit=-1", "limit param must be positive"],
  [`?marker=${UNKNOWN}`, `No image found with ID ${UNKNOWN}`],
  ["?sort=name:up", "Invalid sort direction: up"],
  ["?sort=name&sort_key=name", "Old and new sorting syntax cannot be combined"],
  ["?sort_key=zz", "Invalid sort key: zz. It must be one of the following: name, status, container_format,"],
  ["?visibility=zz", "Invalid visibility value: zz"],
  ["?os_hidden=maybe", "Invalid value 'maybe' for 'os_hidden' filter. Valid values are 'true' or 'false'."],
  ["?protected=maybe", "Invalid value 'maybe' for 'protected' filter. Valid values are 'true' or 'false'."],
  ["?size_min=x", "Unable to filter on a range with a non-numeric value."],
  ["?member_status=zz", "Invalid status: zz"],
  ["?changes-since=x", 'The "changes-since" filter is no longer available on v2.'],
])("list %s is refused", async (query, message) => {
  expect(await list(query)).toMatchObject({ status: 400, message: expect.stringContaining(message) });
});

test("a full page leads to the next, and repeats the query", async () => {
  const page = await list("?limit=2&name=in:a,b,c");
  expect(page).toMatchObject({ names: [COMMUNITY, QUEUED], first: "/v2/images?limit=2&name=in%3Aa%2Cb%2Cc" });
  expect(page.next).toBe(`/v2/images?limit=2&name=in%3Aa%2Cb%2Cc&marker=${QUEUED}`);
  expect(await list(page.next?.replace("/v2/images", "") ?? "")).toMatchObject({ names: [PLAIN] });
});

test("show: properties beside the fields, hashes of the content, paths without a host", async () => {
  const { status, text } = await get(`/v2/images/${PLAIN}`);
  expect([status, JSON.parse(text)]).toEqual([
    200,
    {
      os_distro: "debian",
      name: "a",
      disk_format: "qcow2",
      container_format: "bare",
      visibility: "private",
      size: 6,
      virtual_size: null,
      status: "active",
      checksum: "b1946ac92492d2347c6235b4d2611184",
      protected: false,
      min_ram: 0,
      min_disk: 2,
      owner: emulator.keystone.projectNamed("demo").id,
      os_hidden: false,
      os_hash_algo: "sha512",
      os_hash_value: expect.stringMatching(/^e7c22b994c59d9cf/),
      id: PLAIN,
      created_at: "2026-11-28T00:00:00Z",
      updated_at: "2026-11-28T00:00:00Z",
      tags: ["x", "y"],
      self: `/v2/images/${PLAIN}`,
      file: `/v2/images/${PLAIN}/file`,
      schema: "/v2/schemas/image",
    },
  ]);
});

test("download: the bytes and their hash; 204 without data", async () => {
  const { status, headers, text } = await get(`/v2/images/${PLAIN}/file`);
  expect([status, text, headers.get("content-length"), headers.get("content-md5")]).toEqual([
    200,
    "hello\n",
    "6",
    "b1946ac92492d2347c6235b4d2611184",
  ]);
  expect((await get(`/v2/images/${QUEUED}/file`)).status).toBe(204);
});

test("another project sees no private image, and a community image by its id or when it asks for such", async () => {
  expect(await list("", "other")).toMatchObject({ names: [] });
  expect(await list("?visibility=community", "other")).toMatchObject({ names: [COMMUNITY] });
  expect((await get(`/v2/images/${COMMUNITY}`, "other")).status).toBe(200);
  const { status, text } = await get(`/v2/images/${PLAIN}`, "other");
  expect([status, JSON.parse(text).message]).toEqual([404, `No image found with ID ${PLAIN}<br /><br />\n\n\n`]);
});

test("errors are JSON or HTML, by what the client accepts; a missing token is Glance's own 401", async () => {
  expect((await get(`/v2/images/${UNKNOWN}`, "demo", "*/*")).text).toContain(
    "<h1>404 Not Found</h1>\n  No image found",
  );
  const { status, headers, text } = await get("/v2/images", "nobody");
  expect([status, JSON.parse(text).title]).toEqual([401, "Unauthorized"]);
  expect(headers.get("www-authenticate")).toMatch(/^Keystone uri=/);
  expect((await get("/")).status).toBe(300);
});

describe("a volume from an image", () => {
  const create = async (volume: object) => {
    const { id } = emulator.keystone.projectNamed("demo");
    const answer = await fetch(`${emulator.url}/volume/v3/${id}/volumes`, {
      method: "POST",
      headers: { "X-Auth-Token": tokens.demo ?? "", "Content-Type": "application/json" },
      body: JSON.stringify({ volume }),
    });
    const body = (await answer.json()) as Record<string, { id?: string; message?: string }>;
    return { ...Object.values(body)[0], status: answer.status };
  };

  test("by id or name: bootable, with what it keeps of the image; so is a volume from its snapshot", async () => {
    for (const imageRef of [PLAIN, "a"]) {
      const { status, id = "" } = await create({ imageRef, size: 2 });
      emulator.cinder.advance();
      expect([status, emulator.cinder.volumes.get(id)]).toMatchObject([
        202,
        { bootable: true, image_metadata: { image_id: PLAIN, image_name: "a", size: "6", os_distro: "debian" } },
      ]);
      const snapshot = emulator.cinder.createSnapshot({ volume_id: id });
      const restored = await create({ snapshot_id: snapshot.id });
      emulator.cinder.advance();
      const row = emulator.cinder.volumes.get(restored.id ?? "");
      expect(row).toMatchObject({ bootable: true, image_metadata: { image_id: PLAIN } });
    }
  });

  test.each([
    [{ imageRef: UNKNOWN, size: 2 }, 400, "Invalid image identifier or unable to access requested image."],
    [{ imageRef: QUEUED, size: 2 }, 400, `Invalid input received: Image ${QUEUED} is not active.`],
    [
      { imageRef: PLAIN, size: 1 },
      400,
      "Invalid input received: Volume size 1GB cannot be smaller than the image minDisk size 2GB.",
    ],
    [
      { imageRef: "large", size: 2 },
      400,
      "Invalid input received: Size of specified image 3GB is larger than volume size 2GB.",
    ],
    [{ imageRef: "twin", size: 2 }, 409, "Multiple matches found for 'twin', use an ID to be more specific."],
  ])("%j is refused", async (volume, status, message) => {
    emulator.glance.createImage({ id: SEED_IMAGE, name: "large", size: 2 * 2 ** 30 + 1 });
    if (volume.imageRef === "twin") for (const name of ["twin", "twin"]) emulator.glance.createImage({ name, size: 1 });
    expect(await create(volume)).toMatchObject({ status, message });
  });
});
