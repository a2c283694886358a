// The emulator's application credentials and catalogue, as keystone 22.0.2 has them
// (docs/wire/openstack.md#application-credentials).

import { type Emulator, startEmulator } from "../../emulator";
import { ask, type OpenStackUser, openstackUser, userOf } from "./openstackUser";

let emulator: Emulator;
let member: OpenStackUser;
let admin: OpenStackUser;

beforeEach(async () => {
  emulator = await startEmulator({ clock: "instant" });
  [member, admin] = await Promise.all([openstackUser(emulator), openstackUser(emulator, "admin")]);
});
afterEach(() => emulator.close());

const path = ({ userId }: OpenStackUser) => `/users/${userId}/application_credentials`;
const create = (fields: object, as = member) =>
  as.keystone("POST", path(as), { application_credential: { name: "one", secret: "s", ...fields } });
const loginWith = (id: string, secret = "s") =>
  userOf(emulator, { identity: { methods: ["application_credential"], application_credential: { id, secret } } });
const rolesOf = (body: { application_credential: { roles: { name: string }[] } }) =>
  body.application_credential.roles.map(({ name }) => name);

describe("an application credential", () => {
  test("has the roles that were asked for, by name or by id; else all of the token", async () => {
    const { body } = await create({ roles: [{ name: "reader" }] });
    expect(rolesOf(body)).toEqual(["reader"]);
    const [{ id }] = body.application_credential.roles;
    expect(rolesOf((await create({ name: "two", roles: [{ id }] })).body)).toEqual(["reader"]);
    expect(rolesOf((await create({ name: "three", roles: [] })).body)).toEqual(["member", "reader"]);
    const { token } = await loginWith(body.application_credential.id);
    expect(emulator.keystone.tokens.get(token)?.roles).toEqual(["reader"]);
  });
  test.each([
    [{ roles: [{ name: "admin" }] }, 400],
    [{ roles: [{ name: "banana" }] }, 404],
    [{ roles: [{}] }, 400],
    [{ roles: "reader" }, 400],
    [{ name: "ci" }, 409],
    [{ name: " " }, 400],
    [{ expires_at: "2001-01-01T00:00:00Z" }, 400],
    [{ expires_at: "tomorrow" }, 400],
    [{ unrestricted: "true" }, 400],
    [{ bogus: 1 }, 400],
  ])("%j is refused with %d, and nothing is made", async (fields, status) => {
    const before = emulator.keystone.applicationCredentials.size;
    expect(await create(fields)).toMatchObject({ status });
    expect(emulator.keystone.applicationCredentials.size).toBe(before);
  });
  test("ends at the instant that it shows, in UTC without a zone", async () => {
    const { body } = await create({ expires_at: "2031-01-01T00:00:00.5Z" });
    const { id, expires_at } = body.application_credential;
    expect(expires_at).toBe("2031-01-01T00:00:00.500000");
    await expect(loginWith(id)).resolves.toMatchObject({ projectId: member.projectId });
    const row = emulator.keystone.applicationCredentials.get(id);
    if (row !== undefined) row.expiresAt = new Date(emulator.clock.now().getTime() - 1000).toISOString().slice(0, 19);
    await expect(loginWith(id)).rejects.toThrow();
  });
  test("that is restricted neither makes nor removes one; an unrestricted one does", async () => {
    const restricted = (await create({})).body.application_credential.id;
    const child = await loginWith(restricted);
    expect(await create({ name: "child" }, child)).toMatchObject({
      status: 403,
      body: {
        error: {
          message:
            "You are not authorized to perform the requested action: Using method 'application_credential' is not allowed for managing additional application credentials..",
        },
      },
    });
    expect(await child.keystone("DELETE", `${path(child)}/${restricted}`)).toMatchObject({ status: 403 });
    expect(await child.keystone("GET", path(child))).toMatchObject({ status: 200 });
    const { id } = (await create({ name: "free", unrestricted: true })).body.application_credential;
    expect(await create({ name: "child" }, await loginWith(id))).toMatchObject({ status: 201 });
  });
  test("is shown, and listed by its name, to its user and to administrators", async () => {
    const { id } = (await create({})).body.application_credential;
    const listed = async (query: string, as = member) =>
      (await as.keystone("GET", `${path(member)}${query}`)).body.application_credentials.length;
    expect([await listed("?name=one"), await listed("?name=other"), await listed("?name__icontains=ON")]).toEqual([
      1, 0, 1,
    ]);
    expect(await listed("?name=one", admin)).toBe(1);
    const shown = await member.keystone("GET", `${path(member)}/${id}`);
    expect(shown).toMatchObject({ status: 200, body: { application_credential: { name: "one" } } });
    expect(shown.body.application_credential).not.toHaveProperty("secret");
    expect(await admin.keystone("GET", `${path(member)}/${id}`)).toMatchObject({ status: 200 });
  });
  test("of another user is neither shown nor removed, by whichever path", async () => {
    const { id } = (await create({}, admin)).body.application_credential;
    for (const owner of [member, admin])
      for (const method of ["GET", "DELETE"])
        expect(await member.keystone(method, `${path(owner)}/${id}`)).toMatchObject({ status: 403 });
    expect(await create({}, { ...member, userId: admin.userId })).toMatchObject({ status: 403 });
  });
  test("that is removed takes its tokens along: Keystone says so with a 404, the services with a 401", async () => {
    const { id } = (await create({})).body.application_credential;
    const user = await loginWith(id);
    expect(await member.keystone("DELETE", `${path(member)}/${id}`)).toMatchObject({ status: 204 });
    expect(await user.keystone("GET", path(user))).toMatchObject({ status: 404 });
    expect(await user.cinder("GET", "/volumes")).toMatchObject({ status: 401 });
  });
  test("with access rules is refused by services that aren't told their type", async () => {
    const rule = { path: "/v3/*/volumes", method: "GET", service: "volumev3" };
    const { body } = await create({ access_rules: [rule] });
    expect(body.application_credential.access_rules).toMatchObject([rule]);
    const user = await loginWith(body.application_credential.id);
    expect(await user.cinder("GET", "/volumes")).toMatchObject({ status: 401 });
  });
});

test("services and endpoints: an administrator's lists, by type and interface", async () => {
  const { body } = await admin.keystone("GET", "/services?type=compute");
  expect(body.services).toMatchObject([{ name: "nova", enabled: true }]);
  const [{ id }] = body.services;
  expect((await admin.keystone("GET", `/services/${id}`)).body.service).toMatchObject({ id, type: "compute" });
  const { endpoints } = (await admin.keystone("GET", `/endpoints?service_id=${id}&interface=public`)).body;
  expect(endpoints).toMatchObject([{ service_id: id, url: `${emulator.url}/compute/v2.1` }]);
  for (const list of ["/services", "/endpoints", `/services/${id}`, `/endpoints/${endpoints[0].id}`])
    expect(await member.keystone("GET", list)).toMatchObject({ status: 403 });
});

test("a method that a path doesn't have is named in JSON, with those that it has", async () => {
  const answer = await ask(`${emulator.url}/identity/v3/services`, "PUT", admin.headers, {});
  expect(answer).toMatchObject({ status: 405, body: { message: "The method is not allowed for the requested URL." } });
  expect(answer.headers.get("Allow")).toBe("GET, POST, OPTIONS");
});
