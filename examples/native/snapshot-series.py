import pulumi
import pulumi_snapclone as snapclone

config = pulumi.Config()

# The first `pulumi up` with a new day takes a snapshot, and the eighth goes, once it is two weeks old.
nightly = snapclone.SnapshotSeries(
    "nightly",
    volume_id="11111111-1111-4111-8111-111111111111",
    keep=7,
    keep_within="2w",
    metadata={"team": config.require("team")},
    triggers=["2026-11-28"],
)

pulumi.export("latest", nightly.latest)
pulumi.export("nights", nightly.snapshots.apply(lambda all: [one.created_at for one in all]))
