import pulumi
import pulumi_snapclone as snapclone

# The newest first.
found = snapclone.list_snapshots_output(volume_id="22222222-2222-4222-8222-222222222222", status="available")

pulumi.export("newest", found.snapshots.apply(lambda all: all[0].name if all else None))
