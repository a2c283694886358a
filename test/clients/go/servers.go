package main

import (
	"context"
	"net/http"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
)

// serverLists counts what Nova's filters find, and says which lists are refused.
func serverLists(ctx context.Context, compute *gophercloud.ServiceClient) map[string]any {
	found := map[string]any{}
	for name, options := range map[string]servers.ListOpts{
		"all":          {},
		"in pages":     {Limit: 1},
		"another name": {Name: "nomatch"},
		"running":      {Status: "ACTIVE"},
		"off":          {Status: "SHUTOFF"},
		"all projects": {AllTenants: true},
		"no marker":    {Marker: "00000000-0000-4000-8000-000000000000"},
	} {
		pages, err := servers.List(compute, options).AllPages(ctx)
		if err != nil {
			found[name] = statusOf(err)
			continue
		}
		rows, err := servers.ExtractServers(pages)
		check(err)
		found[name] = len(rows)
	}
	return found
}

// credentialLife makes an application credential with one role, and tries what Keystone refuses.
func credentialLife(ctx context.Context, identity *gophercloud.ServiceClient, user string) map[string]any {
	role := []applicationcredentials.Role{{Name: "reader"}}
	options := applicationcredentials.CreateOpts{Name: "by-go", Roles: role}
	made, err := applicationcredentials.Create(ctx, identity, user, options).Extract()
	check(err)
	_, again := applicationcredentials.Create(ctx, identity, user, options).Extract()
	admin := applicationcredentials.CreateOpts{Name: "more", Roles: []applicationcredentials.Role{{Name: "admin"}}}
	_, refused := applicationcredentials.Create(ctx, identity, user, admin).Extract()
	pages, err := applicationcredentials.List(identity, user, applicationcredentials.ListOpts{Name: "by-go"}).AllPages(ctx)
	check(err)
	rows, err := applicationcredentials.ExtractApplicationCredentials(pages)
	check(err)
	check(applicationcredentials.Delete(ctx, identity, user, made.ID).ExtractErr())
	return map[string]any{
		"role": made.Roles[0].Name, "again": statusOf(again), "admin": statusOf(refused), "named": len(rows),
	}
}

func statusOf(err error) int {
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict} {
		if gophercloud.ResponseCodeIs(err, status) {
			return status
		}
	}
	return 0
}
