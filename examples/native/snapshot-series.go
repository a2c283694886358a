package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/pulumi-snapclone/sdk/go/snapclone"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		// The first `pulumi up` with a new day takes a snapshot, and the eighth goes, once it is two weeks old.
		nightly, err := snapclone.NewSnapshotSeries(ctx, "nightly", &snapclone.SnapshotSeriesArgs{
			VolumeId:   pulumi.String("11111111-1111-4111-8111-111111111111"),
			Keep:       pulumi.Int(7),
			KeepWithin: pulumi.String("2w"),
			Metadata:   pulumi.StringMap{"team": pulumi.String(config.Require(ctx, "team"))},
			Triggers:   pulumi.Array{pulumi.String("2026-11-28")},
		})
		if err != nil {
			return err
		}

		ctx.Export("latest", nightly.Latest)
		ctx.Export("nights", nightly.Snapshots.ApplyT(func(all []snapclone.SeriesSnapshot) []*string {
			var nights []*string
			for _, one := range all {
				nights = append(nights, one.CreatedAt)
			}
			return nights
		}))
		return nil
	})
}
