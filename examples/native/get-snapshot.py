import pulumi
import pulumi_snapclone as snapclone

# Asked at each run, in previews too.
year_end = snapclone.get_snapshot_output(volume_id="22222222-2222-4222-8222-222222222222", name="year-end")

pulumi.export("yearEndId", year_end.id)
pulumi.export("yearEndSize", year_end.size_gib)
