// What CoprHD's own classes say of the emulator's answers. The server writes its answers with the classes with which the
// client reads them. So an answer that the client has read and writes again must be the same: each field, in its place.

import { SEED_SESSIONS } from "../../emulator";
import { suite, ViprClients } from "./viprClients";

const { monday, logs, shopMonday } = SEED_SESSIONS;
const LINK = (target_name: string) => ({ new_linked_targets: { count: 1, target_name, copy_mode: "copy" } });
const TASK = ["queueName", "queuedStartTime", "warning_messages"];

/** Where the model has a property and ViPR sets none (api/mapper/BlockMapper.java, TaskMapper.java). All others are set. */
const UNSET = {
  session: ["consistency_group", "device_label", "native_id", "replication_group_instance", "session_set_name"].concat([
    "varray",
    "wwn",
  ]),
  sessionOfGroup: ["device_label", "native_id", "parent", "varray", "wwn"],
  target: ["consistency_group", "volume_native_id"],
  targetOfGroup: ["volume_native_id"],
  /** A volume of a VMAX3 that nothing protects, tiers or compresses. */
  volume: ["access_state", "auto_tier_policy", "compression_ratio", "consistency_group"].concat([
    "has_xio_3x_backend_volumes",
    "link_status",
    "protection",
  ]),
  volumeOfGroup: ["access_state", "auto_tier_policy", "compression_ratio"].concat([
    "has_xio_3x_backend_volumes",
    "link_status",
    "protection",
  ]),
  group: ["link_status", "rp_consistency_group_id", "rp_protection_system", "varray"],
  pending: ["end_time", "message", "service_error", "workflow", ...TASK],
  ready: ["service_error", ...TASK],
  failed: ["message", ...TASK],
  exports: ["san_zone_name", "target.ip_address", "target.tcp_port"],
  nothing: [],
};

suite.each(["application/json", "application/xml"])("CoprHD's models with %s", (mediaType) => {
  let vipr: ViprClients;
  let token: string;

  beforeAll(async () => {
    vipr = await ViprClients.start();
    token = (await vipr.open("root", mediaType)).value;
  }, 600_000);
  afterAll(() => vipr?.close());

  const raw = async (path: string): Promise<Record<string, unknown>> => {
    const headers = { Accept: "application/json", "X-SDS-AUTH-TOKEN": token };
    const response = await fetch(`${vipr.emulator.url}/vipr${path}`, { headers });
    return (await response.json()) as Record<string, unknown>;
  };

  /** @param inside The field of the answer that the client gives, where it does not give the whole. */
  async function check(
    on: string,
    call: string,
    given: readonly unknown[],
    { path, unset, inside }: { path: string; unset: keyof typeof UNSET; inside?: string },
  ) {
    const { value, absent, error } = await vipr.call("root", on, call, given, "absent");
    expect(error).toBeUndefined();
    expect([path, absent]).toEqual([path, [...UNSET[unset]].sort()]);
    const answer = await raw(path);
    const written = inside === undefined ? answer : answer[inside];
    // As text: the order of the fields counts.
    expect(JSON.stringify(written, null, 1)).toBe(JSON.stringify(value, null, 1));
    return value;
  }

  test("sessions, volumes, consistency groups", async () => {
    const session = (id: string, unset: "session" | "sessionOfGroup") =>
      check("blockSnapshotSessions", "get", [id], { path: `/block/snapshot-sessions/${id}`, unset });
    const volume = (id: string, unset: "volume" | "volumeOfGroup") =>
      check("blockVolumes", "get", [id], { path: `/block/volumes/${id}`, unset });
    vipr.emulator.vipr.linkNow(monday, "one-1");
    const { parent } = await session(monday, "session");
    await volume(parent.id, "volume");
    const { consistency_group } = await session(shopMonday, "sessionOfGroup");
    const path = `/block/consistency-groups/${consistency_group.id}`;
    const group = await check("blockConsistencyGroups", "get", [consistency_group.id], { path, unset: "group" });
    await volume(group.volumes[0].id, "volumeOfGroup");
    const sessions = `/block/volumes/${parent.id}/protection/snapshot-sessions`;
    const list = { path: sessions, unset: "nothing", inside: "snapshot_session" } as const;
    expect(await check("blockSnapshotSessions", "listByVolume", [parent.id], list)).toHaveLength(2);
    const snapshots = { path: `/block/volumes/${parent.id}/protection/snapshots`, unset: "nothing" } as const;
    await check("blockSnapshots", "listByVolume", [parent.id], { ...snapshots, inside: "snapshot" });
  });

  test("targets, their exports, a search", async () => {
    const { id } = vipr.emulator.vipr.linkNow(logs, "shown-1");
    const path = `/block/snapshots/${id}`;
    await check("blockSnapshots", "get", [id], { path, unset: "target" });
    const ofGroup = vipr.emulator.vipr.linkNow(shopMonday, "shown-1");
    const inGroup = { path: `/block/snapshots/${ofGroup.id}`, unset: "targetOfGroup" } as const;
    await check("blockSnapshots", "get", [ofGroup.id], inGroup);
    vipr.emulator.vipr.setExported(id);
    await check("blockSnapshots", "listExports", [id], { path: `${path}/exports`, unset: "exports", inside: "itl" });
    const search = { path: "/block/snapshots/search?name=shown", unset: "nothing", inside: "resource" } as const;
    expect(await check("blockSnapshots", "performSearchBy", ["name", "shown"], search)).toHaveLength(2);
  });

  test("tasks: pending, ready, failed", async () => {
    const pending = await vipr.call("root", "blockSnapshotSessions", "linkTargets", [logs, LINK("ready")], "absent");
    expect(pending.absent).toEqual([...UNSET.pending].sort());
    const task = (id: string, unset: "ready" | "failed") =>
      check("tasks", "get", [id], { path: `/vdc/tasks/${id}`, unset });
    await vipr.value("root", "blockSnapshotSessions", "getTask", [logs, pending.value[0].id], "wait");
    await task(pending.value[0].id, "ready");
    vipr.emulator.vipr.failNext({ operation: "link", succeed: 0 });
    const [failed] = await vipr.value("root", "blockSnapshotSessions", "linkTargets", [logs, LINK("failed")]);
    await vipr.call("root", "blockSnapshotSessions", "getTask", [logs, failed.id], "wait");
    await task(failed.id, "failed");
    await check("tasks", "getStats", [], { path: "/vdc/tasks/stats", unset: "nothing" });
  });
});
