package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/pulumi-snapclone/sdk/go/snapclone"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		// Another cloud than the stack's. The settings are those of docs/connections.md; the password is secret in the state, too.
		dr, err := snapclone.NewProvider(ctx, "dr", &snapclone.ProviderArgs{
			Connections: pulumi.Map{
				"default": pulumi.Map{
					"authUrl":           pulumi.String(config.Require(ctx, "authUrl")),
					"username":          pulumi.String("demo"),
					"password":          config.RequireSecret(ctx, "password"),
					"userDomainName":    pulumi.String("Default"),
					"projectName":       pulumi.String("demo"),
					"projectDomainName": pulumi.String("Default"),
				},
			},
		})
		if err != nil {
			return err
		}

		replica, err := snapclone.NewSnapshot(ctx, "replica", &snapclone.SnapshotArgs{
			VolumeId: pulumi.String("11111111-1111-4111-8111-111111111111"),
		}, pulumi.Provider(dr))
		if err != nil {
			return err
		}

		ctx.Export("replicaStatus", replica.Status)
		return nil
	})
}
