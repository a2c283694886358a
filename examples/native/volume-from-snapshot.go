package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/pulumi-snapclone/sdk/go/snapclone"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		lastNight, err := snapclone.NewSnapshot(ctx, "last-night", &snapclone.SnapshotArgs{
			VolumeId: pulumi.String("11111111-1111-4111-8111-111111111111"),
		})
		if err != nil {
			return err
		}

		// A second volume with the data of the snapshot. A larger size later grows the volume in place.
		restored, err := snapclone.NewVolumeFromSnapshot(ctx, "restored", &snapclone.VolumeFromSnapshotArgs{
			SnapshotId: lastNight.ID(),
			SizeGiB:    pulumi.Int(12),
			Metadata:   pulumi.StringMap{"team": pulumi.String(config.Require(ctx, "team"))},
		})
		if err != nil {
			return err
		}

		ctx.Export("restoredVolumeId", restored.ID())
		ctx.Export("restoredSize", restored.SizeGiB)
		return nil
	})
}
