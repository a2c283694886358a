// Makes the calls of gophercloud, on which Terraform's provider for OpenStack is built, on a cloud that the environment
// names. It prints one JSON object.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	options, err := openstack.AuthOptionsFromEnv()
	check(err)
	provider, err := openstack.AuthenticatedClient(ctx, options)
	check(err)
	region := gophercloud.EndpointOpts{Region: os.Getenv("OS_REGION_NAME")}
	storage, err := openstack.NewBlockStorageV3(provider, region)
	check(err)
	compute, err := openstack.NewComputeV2(provider, region)
	check(err)
	result := map[string]any{}
	lifeOfSnapshot(ctx, storage, os.Args[1], result)
	_, err = snapshots.Get(ctx, storage, "00000000-0000-4000-8000-000000000000").Extract()
	result["unknown"] = gophercloud.ResponseCodeIs(err, http.StatusNotFound)
	identity, err := openstack.NewIdentityV3(provider, region)
	check(err)
	user, project := caller(provider)
	result["servers"] = serverLists(ctx, compute)
	result["credentials"] = credentialLife(ctx, identity, user)
	result["missing"] = missingFields(ctx, storage, compute, identity, os.Args[1], project, user)
	check(json.NewEncoder(os.Stdout).Encode(result))
}

func caller(provider *gophercloud.ProviderClient) (user, project string) {
	answer, ok := provider.GetAuthResult().(tokens.CreateResult)
	if !ok {
		check(fmt.Errorf("no answer to the login"))
	}
	who, err := answer.ExtractUser()
	check(err)
	where, err := answer.ExtractProject()
	check(err)
	return who.ID, where.ID
}

func lifeOfSnapshot(ctx context.Context, storage *gophercloud.ServiceClient, volume string, result map[string]any) {
	source, err := volumes.Get(ctx, storage, volume).Extract()
	check(err)
	result["volume"] = source.Name
	made, err := snapshots.Create(ctx, storage, snapshots.CreateOpts{
		VolumeID: volume, Name: "by-go", Force: true, Metadata: map[string]string{"a": "b"},
	}).Extract()
	check(err)
	check(snapshots.WaitForStatus(ctx, storage, made.ID, "available"))
	name := "renamed"
	renamed, err := snapshots.Update(ctx, storage, made.ID, snapshots.UpdateOpts{Name: &name}).Extract()
	check(err)
	result["name"] = renamed.Name
	_, err = snapshots.UpdateMetadata(ctx, storage, made.ID, snapshots.UpdateMetadataOpts{Metadata: map[string]any{"c": "d"}}).Extract()
	check(err)
	pages, err := snapshots.List(storage, snapshots.ListOpts{Limit: 1, Name: name}).AllPages(ctx)
	check(err)
	found, err := snapshots.ExtractSnapshots(pages)
	check(err)
	result["found"] = len(found) == 1 && found[0].ID == made.ID && !found[0].CreatedAt.IsZero()
	after, err := snapshots.Get(ctx, storage, made.ID).Extract()
	check(err)
	result["metadata"] = after.Metadata
	check(snapshots.Delete(ctx, storage, made.ID).ExtractErr())
	for range 100 {
		if _, err = snapshots.Get(ctx, storage, made.ID).Extract(); err != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	result["gone"] = gophercloud.ResponseCodeIs(err, http.StatusNotFound)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
