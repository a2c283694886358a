import pulumi
import pulumi_snapclone as snapclone

config = pulumi.Config()

# Two copies of the staging VM. They are removed for good with the stack, disks included.
preview = snapclone.ClonedVm(
    "preview",
    vm_instance_uuid="c4d628c203433f64b062ad07c8edf10d",
    names=["pr-42-app", "pr-42-worker"],
    description=config.require("team"),
    power_state=snapclone.PowerState.RUNNING,
    deletion=snapclone.Deletion.EXPUNGE,
    connection="zstack",
)

pulumi.export("addresses", preview.vms.apply(lambda vms: [vm.ips[0] for vm in vms]))
