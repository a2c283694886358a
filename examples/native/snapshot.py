import pulumi
import pulumi_snapclone as snapclone

config = pulumi.Config()

# A new release number is a new point in time: the new snapshot is made first, then the old one is deleted.
before_release = snapclone.Snapshot(
    "before-release",
    volume_id="11111111-1111-4111-8111-111111111111",
    metadata={"team": config.require("team")},
    triggers=["1.0"],
)

pulumi.export("snapshotId", before_release.id)
pulumi.export("snapshotSize", before_release.size_gib)
