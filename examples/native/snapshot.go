package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/pulumi-snapclone/sdk/go/snapclone"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		// A new release number is a new point in time: the new snapshot is made first, then the old one is deleted.
		beforeRelease, err := snapclone.NewSnapshot(ctx, "before-release", &snapclone.SnapshotArgs{
			VolumeId: pulumi.String("11111111-1111-4111-8111-111111111111"),
			Metadata: pulumi.StringMap{"team": pulumi.String(config.Require(ctx, "team"))},
			Triggers: pulumi.Array{pulumi.String("1.0")},
		})
		if err != nil {
			return err
		}

		ctx.Export("snapshotId", beforeRelease.ID())
		ctx.Export("snapshotSize", beforeRelease.SizeGiB)
		return nil
	})
}
