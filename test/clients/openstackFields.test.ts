// A field that a client's class says is always there, and that the emulator leaves out, fails here. The lists of exceptions hold
// for a real Zed as they do for the emulator (docs/wire/openstack.md#d). gophercloud's are in go/fields.go.

import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { clientHome, hasCommand, hasSdk, openstack, runScript } from "./openstackClient";

let emulator: Emulator;
const home = clientHome();

beforeAll(async () => {
  emulator = await startEmulator({ clock: "instant" });
});
afterAll(async () => {
  await emulator.close();
  home.remove();
});

(hasSdk ? describe : describe.skip)("openstacksdk", () => {
  test.each([
    ["member", "demo", 16],
    ["admin", "admin", 18],
  ])(
    "as a %s",
    async (role, user, checked) => {
      const env = home.env({ ...emulator.openstack.env(user), OS_PROJECT_NAME: "demo" });
      expect(await runScript("openstack_fields.py", [SEED_VOLUMES.data, role], env)).toEqual({ checked, found: {} });
    },
    130_000,
  );
});

const VOLUME =
  "attachments availability_zone bootable consistencygroup_id created_at description encrypted id multiattach name os-vol-tenant-attr:tenant_id properties replication_status size snapshot_id source_volid status type updated_at user_id";
const SNAPSHOT =
  "created_at description id name os-extended-snapshot-attributes:progress os-extended-snapshot-attributes:project_id properties size status updated_at volume_id";
const SERVER =
  "OS-DCF:diskConfig OS-EXT-AZ:availability_zone OS-EXT-STS:power_state OS-EXT-STS:task_state OS-EXT-STS:vm_state OS-SRV-USG:launched_at OS-SRV-USG:terminated_at accessIPv4 accessIPv6 addresses config_drive created flavor hostId id image key_name name progress project_id properties status updated user_id volumes_attached";
const SERVER_ROW =
  "Availability Zone,Flavor ID,Flavor Name,Host,ID,Image ID,Image Name,Name,Networks,Power State,Properties,Status,Task State";
const QUOTA =
  "backup-gigabytes backups cores fixed-ips floating-ips gigabytes gigabytes___DEFAULT__ gigabytes_ssd groups injected-file-size injected-files injected-path-size instances key-pairs per-volume-gigabytes project project_name properties ram secgroup-rules secgroups server-group-members server-groups snapshots snapshots___DEFAULT__ snapshots_ssd volumes volumes___DEFAULT__ volumes_ssd";
const LIMITS =
  "maxImageMeta maxPersonality maxPersonalitySize maxSecurityGroupRules maxSecurityGroups maxServerGroupMembers maxServerGroups maxServerMeta maxTotalBackupGigabytes maxTotalBackups maxTotalCores maxTotalFloatingIps maxTotalInstances maxTotalKeypairs maxTotalRAMSize maxTotalSnapshots maxTotalVolumeGigabytes maxTotalVolumes totalBackupGigabytesUsed totalBackupsUsed totalCoresUsed totalFloatingIpsUsed totalGigabytesUsed totalInstancesUsed totalRAMUsed totalSecurityGroupsUsed totalServerGroupsUsed totalSnapshotsUsed totalVolumesUsed";

(hasCommand ? describe : describe.skip)("the command openstack shows all that it shows of a real Zed", () => {
  const shown = async (...words: string[]) => {
    const answer = await openstack(home.env(emulator.openstack.env()), ...words);
    return Object.keys(Array.isArray(answer) ? answer[0] : answer).sort();
  };

  test("of volumes, snapshots, types and application credentials", async () => {
    emulator.cinder.createSnapshot({ volume_id: SEED_VOLUMES.data, name: "shown" });
    const [volume, snapshot, type, credential] = await Promise.all([
      shown("volume", "show", SEED_VOLUMES.data),
      shown("volume", "snapshot", "show", "shown"),
      shown("volume", "type", "show", "ssd"),
      shown("application", "credential", "show", "ci"),
    ]);
    expect(volume).toEqual(VOLUME.split(" "));
    expect(snapshot).toEqual(SNAPSHOT.split(" "));
    expect(type).toEqual("access_project_ids description id is_public name properties".split(" "));
    expect(credential).toEqual(
      "description expires_at id name project_id roles system unrestricted user_id".split(" "),
    );
  }, 120_000);

  test("of servers, quotas and limits", async () => {
    const { id = "" } = emulator.nova.serverOf(SEED_VOLUMES.logs) ?? {};
    const [server, row, quota, limits] = await Promise.all([
      shown("server", "show", id),
      shown("server", "list", "--long"),
      shown("quota", "show"),
      openstack(home.env(emulator.openstack.env()), "limits", "show", "--absolute"),
    ]);
    expect(server).toEqual(SERVER.split(" "));
    expect(row).toEqual(SERVER_ROW.split(","));
    expect(quota).toEqual(QUOTA.split(" "));
    expect(limits.map(({ Name }: { Name: string }) => Name).sort()).toEqual(LIMITS.split(" "));
  }, 120_000);
});
