package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/pulumi-snapclone/sdk/go/snapclone"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		// Two copies of the staging VM. They are removed for good with the stack, disks included.
		preview, err := snapclone.NewClonedVm(ctx, "preview", &snapclone.ClonedVmArgs{
			VmInstanceUuid: pulumi.String("c4d628c203433f64b062ad07c8edf10d"),
			Names:          pulumi.ToStringArray([]string{"pr-42-app", "pr-42-worker"}),
			Description:    pulumi.String(config.Require(ctx, "team")),
			PowerState:     snapclone.PowerStateRunning,
			Deletion:       snapclone.DeletionExpunge,
			Connection:     pulumi.String("zstack"),
		})
		if err != nil {
			return err
		}

		ctx.Export("addresses", preview.Vms.ApplyT(func(vms []snapclone.ClonedVmInstance) []string {
			var addresses []string
			for _, vm := range vms {
				addresses = append(addresses, vm.Ips[0])
			}
			return addresses
		}))
		return nil
	})
}
