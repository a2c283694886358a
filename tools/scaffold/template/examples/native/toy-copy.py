import pulumi
import pulumi_snapclone as snapclone

config = pulumi.Config()

copy = snapclone.ToyCopy(
    "toy-copy",
    source="volume-1",
    name=config.require("team"),
    connection="toy",
)

pulumi.export("copyId", copy.id)
