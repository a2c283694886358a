package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	volumelimits "github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/limits"
	volumequotas "github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumetypes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/limits"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
)

// Fields of gophercloud's structs that these answers of a real Zed lack, each with its reason. An exception that is sent after
// all is named as well.
var exceptions = map[string]map[string]string{
	"Volume": {
		"backup_id":             "from 3.47 on, of a volume from a backup",
		"volume_image_metadata": "of a volume from an image",
		"os-vol-host-attr:host": "shown to administrators",
	},
	"Snapshot":   {"group_snapshot_id": "from 3.14 on", "user_id": "from 3.41 on", "consumes_quota": "from 3.65 on"},
	"VolumeType": {"qos_specs_id": "shown to administrators"},
	"Server": {
		"adminPass":       "in the answer to a create",
		"fault":           "of a server in error",
		"security_groups": "of a server with a network",
		"tags":            "from 2.26 on", "server_groups": "from 2.71 on", "locked": "from 2.9 on",
		"hostid":                              "written hostId, which Go takes for the same",
		"OS-EXT-SRV-ATTR:host":                "shown to administrators",
		"OS-EXT-SRV-ATTR:instance_name":       "shown to administrators",
		"OS-EXT-SRV-ATTR:hypervisor_hostname": "shown to administrators",
		"OS-EXT-SRV-ATTR:reservation_id":      "shown to administrators",
		"OS-EXT-SRV-ATTR:launch_index":        "shown to administrators",
		"OS-EXT-SRV-ATTR:ramdisk_id":          "shown to administrators",
		"OS-EXT-SRV-ATTR:kernel_id":           "shown to administrators",
		"OS-EXT-SRV-ATTR:hostname":            "shown to administrators",
		"OS-EXT-SRV-ATTR:root_device_name":    "shown to administrators",
		"OS-EXT-SRV-ATTR:user_data":           "shown to administrators",
	},
	"VolumeAttachment": {"tag": "from 2.70 on", "delete_on_termination": "from 2.79 on"},
	"Flavor":           {"description": "from 2.55 on", "extra_specs": "from 2.61 on"},
	"Credential":       {"secret": "in the answer to a create"},
	"QuotaUsage":       {"allocated": "until Queens"},
}

// missingFields asks for one of each, and compares what came with the fields of the struct.
func missingFields(
	ctx context.Context, storage, compute, identity *gophercloud.ServiceClient, volume, project, user string,
) []string {
	problems := []string{}
	compare := func(name string, kind any, body any, steps ...string) {
		for _, step := range steps {
			body = body.(map[string]any)[step]
		}
		problems = append(problems, differences(name, reflect.TypeOf(kind), body.(map[string]any))...)
	}
	compare("Volume", volumes.Volume{}, volumes.Get(ctx, storage, volume).Body, "volume")
	made := snapshots.Create(ctx, storage, snapshots.CreateOpts{VolumeID: volume, Name: "fields", Force: true})
	snapshot, err := made.Extract()
	check(err)
	compare("Snapshot", snapshots.Snapshot{}, snapshots.Get(ctx, storage, snapshot.ID).Body, "snapshot")
	types, err := volumetypes.List(storage, nil).AllPages(ctx)
	check(err)
	found, err := volumetypes.ExtractVolumeTypes(types)
	check(err)
	compare("VolumeType", volumetypes.VolumeType{}, volumetypes.Get(ctx, storage, found[0].ID).Body, "volume_type")
	compare("VolumeLimits", volumelimits.Absolute{}, volumelimits.Get(ctx, storage).Body, "limits", "absolute")
	compare("VolumeQuotas", volumequotas.QuotaSet{}, volumequotas.Get(ctx, storage, project).Body, "quota_set")
	usage := volumequotas.GetUsage(ctx, storage, project).Body
	compare("VolumeQuotaUsage", volumequotas.QuotaUsageSet{}, usage, "quota_set")
	compare("QuotaUsage", volumequotas.QuotaUsage{}, usage, "quota_set", "volumes")

	listed, err := servers.List(compute, nil).AllPages(ctx)
	check(err)
	rows, err := servers.ExtractServers(listed)
	check(err)
	compare("Server", servers.Server{}, servers.Get(ctx, compute, rows[0].ID).Body, "server")
	volumeID := rows[0].AttachedVolumes[0].ID
	attachment := volumeattach.Get(ctx, compute, rows[0].ID, volumeID).Body
	compare("VolumeAttachment", volumeattach.VolumeAttachment{}, attachment, "volumeAttachment")
	compare("Flavor", flavors.Flavor{}, flavors.Get(ctx, compute, fmt.Sprint(rows[0].Flavor["id"])).Body, "flavor")
	compare("Limits", limits.Absolute{}, limits.Get(ctx, compute, nil).Body, "limits", "absolute")
	compare("Quotas", quotasets.QuotaSet{}, quotasets.Get(ctx, compute, project).Body, "quota_set")
	compare("QuotaDetails", quotasets.QuotaDetailSet{}, quotasets.GetDetail(ctx, compute, project).Body, "quota_set")

	created := applicationcredentials.Create(ctx, identity, user, applicationcredentials.CreateOpts{Name: "fields"})
	credential, err := created.Extract()
	check(err)
	shown := applicationcredentials.Get(ctx, identity, user, credential.ID).Body
	compare("Credential", applicationcredentials.ApplicationCredential{}, shown, "application_credential")
	return problems
}

func differences(name string, kind reflect.Type, body map[string]any) []string {
	problems := []string{}
	for field := range kind.NumField() {
		tag, options, _ := strings.Cut(kind.Field(field).Tag.Get("json"), ",")
		_, sent := body[tag]
		reason, excepted := exceptions[name][tag]
		switch {
		case tag == "" || tag == "-" || strings.Contains(options, "omitempty"):
		case sent && excepted:
			problems = append(problems, fmt.Sprintf("%s.%s is there, though it is an exception: %s", name, tag, reason))
		case !sent && !excepted:
			problems = append(problems, fmt.Sprintf("%s.%s is missing", name, tag))
		}
	}
	slices.Sort(problems)
	return problems
}
