package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/pulumi-snapclone/sdk/go/snapclone"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		volumeId := pulumi.String("22222222-2222-4222-8222-222222222222")
		beforeUpgrade, err := snapclone.NewSnapshot(ctx, "before-upgrade", &snapclone.SnapshotArgs{VolumeId: volumeId})
		if err != nil {
			return err
		}

		// Nova lets administrators alone do this: the overlay has a connection of its own.
		overlay, err := snapclone.NewAssistedSnapshot(ctx, "upgrade", &snapclone.AssistedSnapshotArgs{
			VolumeId:   volumeId,
			SnapshotId: beforeUpgrade.ID(),
			// Made beforehand in the volume's folder, over the disk's active file.
			NewFile: pulumi.String("upgrade.qcow2"),
			// Lets the administrator make the outcome visible on Cinder's record of the snapshot.
			ManageStatus: pulumi.Bool(config.RequireBool(ctx, "manageStatus")),
			Connection:   pulumi.String("admin"),
		}, pulumi.DeleteBeforeReplace(true))
		if err != nil {
			return err
		}

		ctx.Export("inPlace", overlay.Verified)
		return nil
	})
}
