package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/pulumi-snapclone/sdk/go/snapclone"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		copied, err := snapclone.NewToyCopy(ctx, "toy-copy", &snapclone.ToyCopyArgs{
			Source:     pulumi.String("volume-1"),
			Name:       pulumi.String(config.Require(ctx, "team")),
			Connection: pulumi.String("toy"),
		})
		if err != nil {
			return err
		}

		ctx.Export("copyId", copied.ID())
		return nil
	})
}
