package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/pulumi-snapclone/sdk/go/snapclone"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		// A database on two volumes. Copied one after another they would not fit together: here they are of one instant.
		data := "11111111-1111-4111-8111-111111111111"
		logs := "22222222-2222-4222-8222-222222222222"
		clone, err := snapclone.NewVolumeClone(ctx, "database", &snapclone.VolumeCloneArgs{
			Volumes:     pulumi.ToStringArray([]string{data, logs}),
			DisplayName: pulumi.String(config.Require(ctx, "team")),
			Triggers:    pulumi.Array{pulumi.String("1.0")},
			Connection:  pulumi.String("powervc"),
		})
		if err != nil {
			return err
		}

		ctx.Export("cloneOfData", clone.Clones.MapIndex(pulumi.String(data)))
		return nil
	})
}
