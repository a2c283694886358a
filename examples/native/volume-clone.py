import pulumi
import pulumi_snapclone as snapclone

config = pulumi.Config()

# A database on two volumes. Copied one after another they would not fit together: here they are of one instant.
data = "11111111-1111-4111-8111-111111111111"
logs = "22222222-2222-4222-8222-222222222222"
clone = snapclone.VolumeClone(
    "database",
    volumes=[data, logs],
    display_name=config.require("team"),
    triggers=["1.0"],
    connection="powervc",
)

pulumi.export("cloneOfData", clone.clones.apply(lambda clones: clones[data]))
