// Is the lab what the scenarios take it for? Nothing of the provider is involved.

import { describeOpenStack } from "./lab";

describeOpenStack("the lab", (lab) => {
  test("a member sees the volumes", async () => {
    const { body } = await lab().request("GET", "/volumes/detail");
    const { volumes } = body as { volumes: { id: string; status: string; size: number }[] };
    for (const id of lab().volumes)
      expect(volumes).toContainEqual(expect.objectContaining({ id, size: 1, status: "available" }));
  });

  test("a stranger doesn't", async () => {
    const token = { as: lab().strangerConnection };
    expect((await lab().request("GET", `/volumes/${lab().volumes[0]}`, undefined, token)).status).toBe(400);
    const { body } = await lab().request(
      "GET",
      lab().cinderUrl.replace(lab().projectId, "volumes/detail"),
      undefined,
      token,
    );
    expect(body).toEqual({ volumes: [] });
  });

  test("a snapshot comes and goes", async () => {
    const { request, volumes } = lab();
    const name = "lab smoke test";
    const created = await request("POST", "/snapshots", { snapshot: { volume_id: volumes[0], name } });
    expect(created.status).toBe(202);
    const { id } = (created.body as { snapshot: { id: string } }).snapshot;
    const status = async () => {
      const { body, status } = await request("GET", `/snapshots/${id}`);
      return status === 404 ? "gone" : (body as { snapshot: { status: string } }).snapshot.status;
    };
    await until(status, "available");
    expect((await request("DELETE", `/snapshots/${id}`)).status).toBe(202);
    await until(status, "gone");
  }, 300_000);
});

async function until(fetch: () => Promise<string>, wanted: string): Promise<void> {
  const deadline = performance.now() + 120_000;
  for (let seen = await fetch(); seen !== wanted; seen = await fetch()) {
    if (performance.now() > deadline || seen === "error") throw new Error(`${seen}, and not ${wanted}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
