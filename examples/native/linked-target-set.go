package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/pulumi-snapclone/sdk/go/snapclone"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		// One target for each tester. A larger number links more, a smaller one unlinks the last.
		testers, err := snapclone.NewLinkedTargetSet(ctx, "testers", &snapclone.LinkedTargetSetArgs{
			SnapshotSessionId: pulumi.String("urn:storageos:BlockSnapshotSession:aaaaaaaa-1111-4111-8111-111111111111:vdc1"),
			TargetName:        pulumi.String("shop-test"),
			Count:             pulumi.Int(config.RequireInt(ctx, "testerCount")),
			CopyMode:          snapclone.CopyModeNocopy,
			Connection:        pulumi.String("vipr"),
		})
		if err != nil {
			return err
		}

		ctx.Export("wwns", testers.Targets.ApplyT(func(targets []snapclone.LinkedTarget) []*string {
			var wwns []*string
			for _, target := range targets {
				wwns = append(wwns, target.Wwn)
			}
			return wwns
		}))
		return nil
	})
}
