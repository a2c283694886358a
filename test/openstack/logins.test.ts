// Logins that a real Keystone accepts in part: a user with more than one factor, and an application credential with access
// rules. What the product says names the cause.

import { randomUUID } from "node:crypto";
import { CinderClient } from "../../provider/openstack/cinder";
import { resolveOpenStack } from "../../provider/openstack/connection";
import { KeystoneSession } from "../../provider/openstack/keystone";
import { failure } from "../support/failures";
import { keystoneAdmin } from "./accounts";
import { describeOpenStack } from "./lab";

describeOpenStack("logins at a real Keystone", (lab) => {
  const sessions: KeystoneSession[] = [];
  afterAll(() => Promise.all(sessions.map((one) => one.close())));

  const sessionOf = (config: object) => {
    const settings = resolveOpenStack({ name: "default", config, env: {}, cwd: "/", home: "/" });
    const session = new KeystoneSession(settings);
    sessions.push(session);
    return session;
  };

  test("a user with two factors: the receipt of the first one is told as what it is", async () => {
    const admin = keystoneAdmin(lab());
    const name = `factors-${randomUUID().slice(0, 8)}`;
    // The default of Keystone's [auth] methods has no totp, and a rule with an unknown method counts for nothing.
    const options = { multi_factor_auth_enabled: true, multi_factor_auth_rules: [["password", "token"]] };
    const user = { name, password: "secret-of-two-factors", domain_id: "default", options };
    const { id } = Object(await admin("POST", "/users", { user })).user;
    try {
      const session = sessionOf({ ...lab().connection, username: name, password: user.password });
      const { parts } = await failure(session.token());
      expect(parts).toMatchObject({
        kind: "unauthorized",
        message: expect.stringContaining("must sign in with more than one factor: password and token"),
        hint: expect.stringContaining("openstack application credential create"),
      });
      expect(JSON.stringify(parts)).not.toContain("gAAAA");
      const wrong = sessionOf({ ...lab().connection, username: name, password: "wrong-of-two-factors" });
      expect((await failure(wrong.token())).parts.message).not.toMatch(/factor/);
    } finally {
      await admin("DELETE", `/users/${id}`);
    }
  });

  test("an application credential whose access rules allow something else: the hint names them and the request", async () => {
    const { authUrl, region } = lab().connection;
    const owner = sessionOf(lab().connection);
    const path = `/users/${await owner.userId()}/application_credentials`;
    const access_rules = [{ path: "/v3/*/volumes", method: "GET", service: "volumev3" }];
    const wanted = { name: `rules-${randomUUID().slice(0, 8)}`, access_rules };
    const { body, status } = await lab().request("POST", `${authUrl}${path}`, { application_credential: wanted });
    expect(status).toBe(201);
    const { id, secret } = Object(body).application_credential;
    try {
      const config = { authUrl, region, applicationCredentialId: id, applicationCredentialSecret: secret };
      const limited = new CinderClient(sessionOf(config));
      const { parts } = await failure(limited.listSnapshotsDetail({}));
      expect(parts).toMatchObject({ kind: "unauthorized", status: 401 });
      expect(parts.hint).toMatch(/access rules, and none of them allows GET \/snapshots\/detail/);
    } finally {
      await lab().request("DELETE", `${authUrl}${path}/${id}`);
    }
  });
});
