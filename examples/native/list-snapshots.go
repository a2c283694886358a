package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/pulumi-snapclone/sdk/go/snapclone"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		// The newest first.
		found := snapclone.ListSnapshotsOutput(ctx, snapclone.ListSnapshotsOutputArgs{
			VolumeId: pulumi.String("22222222-2222-4222-8222-222222222222"),
			Status:   pulumi.String("available"),
		})

		ctx.Export("newest", found.Snapshots().Index(pulumi.Int(0)).Name())
		return nil
	})
}
