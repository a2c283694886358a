import pulumi
import pulumi_snapclone as snapclone

config = pulumi.Config()

# One target for each tester. A larger number links more, a smaller one unlinks the last.
testers = snapclone.LinkedTargetSet(
    "testers",
    snapshot_session_id="urn:storageos:BlockSnapshotSession:aaaaaaaa-1111-4111-8111-111111111111:vdc1",
    target_name="shop-test",
    count=config.require_int("testerCount"),
    copy_mode=snapclone.CopyMode.NOCOPY,
    connection="vipr",
)

pulumi.export("wwns", testers.targets.apply(lambda targets: [target.wwn for target in targets]))
