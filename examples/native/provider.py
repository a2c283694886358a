import pulumi
import pulumi_snapclone as snapclone

config = pulumi.Config()

# Another cloud than the stack's. The settings are those of docs/connections.md; the password is secret in the state, too.
dr = snapclone.Provider(
    "dr",
    connections={
        "default": {
            "authUrl": config.require("authUrl"),
            "username": "demo",
            "password": config.require_secret("password"),
            "userDomainName": "Default",
            "projectName": "demo",
            "projectDomainName": "Default",
        },
    },
)

replica = snapclone.Snapshot(
    "replica",
    volume_id="11111111-1111-4111-8111-111111111111",
    opts=pulumi.ResourceOptions(provider=dr),
)

pulumi.export("replicaStatus", replica.status)
