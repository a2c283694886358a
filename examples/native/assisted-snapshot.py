import pulumi
import pulumi_snapclone as snapclone

config = pulumi.Config()

volume_id = "22222222-2222-4222-8222-222222222222"
before_upgrade = snapclone.Snapshot("before-upgrade", volume_id=volume_id)

# Nova lets administrators alone do this: the overlay has a connection of its own.
overlay = snapclone.AssistedSnapshot(
    "upgrade",
    volume_id=volume_id,
    snapshot_id=before_upgrade.id,
    # Made beforehand in the volume's folder, over the disk's active file.
    new_file="upgrade.qcow2",
    # Lets the administrator make the outcome visible on Cinder's record of the snapshot.
    manage_status=config.require_bool("manageStatus"),
    connection="admin",
    opts=pulumi.ResourceOptions(delete_before_replace=True),
)

pulumi.export("inPlace", overlay.verified)
