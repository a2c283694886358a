// What ViPR's searches find, and how they refuse (docs/wire/vipr.md#searches).

import { SEED_SESSIONS } from "../../emulator";
import { ViprHttp } from "./viprHttp";

const { monday, logs } = SEED_SESSIONS;
const KINDS = {
  "/block/snapshot-sessions": "BlockSnapshotSession",
  "/block/snapshots": "BlockSnapshot",
  "/block/volumes": "Volume",
  "/block/consistency-groups": "BlockConsistencyGroup",
  "/vdc/tasks": "Task",
};
const OF_PROJECTS = Object.entries(KINDS).filter(([path]) => path !== "/vdc/tasks");

let vipr: ViprHttp;
beforeEach(async () => {
  vipr = await ViprHttp.start();
});
afterEach(() => vipr.close());

const resource = async (path: string, user = "root") => {
  const { status, body } = await vipr.as(user, path);
  expect([status, body]).toEqual([200, { resource: expect.any(Array) }]);
  return body.resource as { id: string; match?: string; link: { href: string } }[];
};
const matches = async (path: string) => (await resource(path)).map(({ match }) => match);
const projectId = async () => (await vipr.root(`/block/snapshot-sessions/${monday}`)).body.project.id as string;

describe("what is inactive", () => {
  const gone = async () => {
    const id = await vipr.link(monday, "gone");
    await vipr.root(`/block/snapshots/${id}/tags`, { method: "PUT", body: { add: ["gone-tag"] } });
    await vipr.root(`/block/snapshots/${id}/deactivate`, { method: "POST" });
    vipr.emulator.vipr.advance();
    return id;
  };

  test("can still be read, and no search, list or index has it", async () => {
    const id = await gone();
    expect((await vipr.root(`/block/snapshots/${id}`)).body).toMatchObject({ inactive: true });
    const volume = (await vipr.root(`/block/snapshots/${id}`)).body.parent.id;
    for (const query of ["name=gone", "tag=gone-tag", `project=${await projectId()}`])
      expect(await resource(`/block/snapshots/search?${query}`)).toEqual([]);
    expect((await vipr.root("/block/snapshots/bulk")).body).toEqual({ id: [] });
    expect((await vipr.root(`/block/volumes/${volume}/protection/snapshots`)).body).toEqual({ snapshot: [] });
  });

  test("a session likewise", async () => {
    await vipr.root(`/block/snapshot-sessions/${logs}/deactivate`, { method: "POST" });
    expect((await vipr.root(`/block/snapshot-sessions/${logs}`)).body).toMatchObject({ inactive: true });
    expect((await resource("/block/snapshot-sessions/search?name=monday")).map(({ id }) => id)).toEqual([monday]);
    expect((await vipr.root("/block/snapshot-sessions/bulk")).body.id).not.toContain(logs);
  });
});

describe("by name, tag and project", () => {
  test("a name's beginning in any case; the match is the whole name", async () => {
    await vipr.link(monday, "Dev");
    expect(await matches("/block/snapshots/search?name=dEV")).toEqual(["Dev-1"]);
    expect(await matches("/block/consistency-groups/search?name=sh")).toEqual(["shop"]);
    expect(await matches("/vdc/tasks/search?name=link")).toEqual(["LINK SNAPSHOT SESSION TARGETS"]);
  });

  test.each(Object.keys(KINDS))("%s by tag; the match is the tag", async (path) => {
    await vipr.link(monday, "dev");
    const [id] = (await vipr.root(`${path}/bulk`)).body.id;
    await vipr.root(`${path}/${id}/tags`, { method: "PUT", body: { add: ["Nightly", "night-owl", "day"] } });
    expect(await resource(`${path}/search?tag=night`)).toEqual([
      { id, match: "Nightly", link: { rel: "self", href: `${path}/${id}` } },
      { id, match: "night-owl", link: { rel: "self", href: `${path}/${id}` } },
    ]);
    const { id: tenant } = (await vipr.root("/tenant")).body;
    expect(await resource(`${path}/search?tag=night&tenant=${tenant}`)).toHaveLength(2);
    // Tasks are not the tenant's alone (isZoneLevelResource): the search leaves the tenant out.
    const others = await resource(`${path}/search?tag=night&tenant=${tenant.replace("4f245ed0", "00000000")}`);
    expect(others).toHaveLength(path === "/vdc/tasks" ? 2 : 0);
  });

  test("a project's objects; the match is the name in the project's index", async () => {
    await vipr.link(logs, "dev");
    const project = await projectId();
    expect(await matches(`/block/snapshots/search?project=${project}`)).toEqual(["logs"]);
    expect((await matches(`/block/snapshot-sessions/search?project=${project}`)).sort()).toEqual([
      "data",
      "data",
      "logs",
      "shop-db",
      "shop-db",
    ]);
    expect((await matches(`/block/volumes/search?project=${project}`)).sort()).toEqual([
      "data",
      "logs",
      "shop-db",
      "shop-files",
    ]);
    expect(await matches(`/block/consistency-groups/search?project=${project}`)).toEqual(["storage"]);
    const nowhere = project.replace("3e9226a8", "00000000");
    expect(await resource(`/block/snapshots/search?project=${nowhere}`)).toEqual([]);
  });

  test("a name in a project is a name of that index: of a target its source's", async () => {
    const id = await vipr.link(logs, "dev");
    const project = await projectId();
    expect(await resource(`/block/snapshots/search?name=dev&project=${project}`)).toEqual([]);
    expect((await resource(`/block/snapshots/search?project=${project}&name=lo`)).map((one) => one.id)).toEqual([id]);
    // A search of sessions asks the index of the snapshots.
    const [session] = await resource(`/block/snapshot-sessions/search?name=lo&project=${project}`);
    expect(session).toMatchObject({ id, link: { href: `/block/snapshot-sessions/${id}` } });
  });

  test("a volume by its WWN in any case, without a match", async () => {
    const [volume] = vipr.emulator.vipr.volumes.values();
    const [found, ...more] = await resource(`/block/volumes/search?wwn=${volume?.wwn.toLowerCase()}`);
    expect(more).toEqual([]);
    expect(found).toEqual({ id: volume?.id, link: { rel: "self", href: `/block/volumes/${volume?.id}` } });
  });

  test("tasks by their resource and by their state", async () => {
    await vipr.link(monday, "dev");
    const { id } = (await vipr.root(`/block/snapshot-sessions/${monday}/tasks`)).body.task[0];
    expect((await resource(`/vdc/tasks/search?resource=${monday}`)).map((one) => one.id)).toEqual([id]);
    expect((await resource("/vdc/tasks/search?state=ready")).map((one) => one.id)).toEqual([id]);
    expect(await resource("/vdc/tasks/search?state=error")).toEqual([]);
    expect(await resource("/vdc/tasks/search?foo=bar")).toEqual([]);
  });

  test("using-cookies is no parameter of a search", async () => {
    expect(await resource("/block/snapshots/search?name=no&using-cookies=true")).toEqual([]);
  });
});

describe("refusals", () => {
  const refused = async (path: string, user = "root") => {
    const { status, body } = await vipr.as(user, path);
    return [status, body.code, body.details];
  };

  test.each(Object.entries(KINDS))("%s: what is too short, or may not be asked together", async (path, type) => {
    const className = `com.emc.storageos.db.client.model.${type}`;
    for (const key of ["name", "tag"]) {
      const tooShort = `${key} parameter a for ${className} search must be at least 2 characters`;
      expect(await refused(`${path}/search?${key}=a`)).toEqual([400, 1008, tooShort]);
    }
    for (const [key, partner] of [
      ["name", "project"],
      ["tag", "tenant"],
    ]) {
      const alone = `${key} parameter for ${className} search could only be combined with ${partner} parameter`;
      expect(await refused(`${path}/search?${key}=abc&foo=bar`)).toEqual([400, 1013, alone]);
    }
    const project = `project parameter for ${className} search could only be combined with name parameter`;
    expect(await refused(`${path}/search?project=x&foo=bar`)).toEqual([400, 1013, project]);
  });

  test.each(["/block/snapshots", "/block/snapshot-sessions", "/block/consistency-groups"])(
    "%s: an unknown parameter, or none",
    async (path) => {
      expect(await refused(`${path}/search?foo=bar`)).toEqual([400, 1008, "Unknown parameter for search: {foo=[bar]}"]);
      expect(await refused(`${path}/search`)).toEqual([400, 1008, "Unknown parameter for search: {}"]);
    },
  );

  test("volumes: an unknown parameter has a code of its own", async () => {
    const [status, code, details] = await refused("/block/volumes/search?foo=bar");
    expect([status, code]).toEqual([400, 1005]);
    expect(details).toMatch(
      /^Parameter for com\.emc\.storageos\.db\.client\.model\.Volume search is incorrect, at least/,
    );
    const [, both, text] = await refused("/block/volumes/search?wwn=60&foo=bar");
    expect([both, text]).toEqual([1008, expect.stringMatching(/could not be combined .* but found foo$/)]);
  });

  test("tasks belong to no project", async () => {
    expect(await refused(`/vdc/tasks/search?project=${await projectId()}`)).toEqual([
      400,
      1008,
      "Project parameter is not supported for com.emc.storageos.db.client.model.Task search",
    ]);
  });

  test.each(OF_PROJECTS)("%s: a project that is no URI", async (path) => {
    expect((await refused(`${path}/search?project=urn:a%20b`)).slice(0, 2)).toEqual([400, 1008]);
  });

  test("whoever has no rights finds nothing, and may not ask for a project", async () => {
    await vipr.link(monday, "dev");
    expect(await resource("/block/snapshots/search?name=dev", "monitor")).toHaveLength(1);
    expect(await resource("/block/snapshots/search?name=dev", "stranger")).toEqual([]);
    const project = await projectId();
    const [status, code, details] = await refused(`/block/snapshots/search?project=${project}`, "stranger");
    expect([status, code]).toEqual([403, 3000]);
    expect(details).toMatch(/^Insufficient permissions for user {2}user: stranger; tenantId: urn:storageos:TenantOrg:/);
  });
});
