import pulumi
import pulumi_snapclone as snapclone

config = pulumi.Config()

last_night = snapclone.Snapshot("last-night", volume_id="11111111-1111-4111-8111-111111111111")

# A second volume with the data of the snapshot. A larger size later grows the volume in place.
restored = snapclone.VolumeFromSnapshot(
    "restored",
    snapshot_id=last_night.id,
    size_gib=12,
    metadata={"team": config.require("team")},
)

pulumi.export("restoredVolumeId", restored.id)
pulumi.export("restoredSize", restored.size_gib)
