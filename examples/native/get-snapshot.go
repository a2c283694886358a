package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/pulumi-snapclone/sdk/go/snapclone"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		// Asked at each run, in previews too.
		yearEnd := snapclone.LookupSnapshotOutput(ctx, snapclone.LookupSnapshotOutputArgs{
			VolumeId: pulumi.String("22222222-2222-4222-8222-222222222222"),
			Name:     pulumi.String("year-end"),
		})

		ctx.Export("yearEndId", yearEnd.Id())
		ctx.Export("yearEndSize", yearEnd.SizeGiB())
		return nil
	})
}
