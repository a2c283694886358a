"""Makes the calls of openstacksdk that a user's tools make beside this package, on a cloud that the environment names.

It takes a volume's id, and the names of groups of calls if not all are wanted. It prints one JSON object: what each group of
calls returned, or the class and text of the error that ended the group.
"""

import json
import sys

import openstack


def main():
    cloud = openstack.connect(cloud="envvars")
    volume_id = sys.argv[1]
    groups = {
        "identity": identity,
        "volumes": volumes,
        "snapshots": snapshots,
        "metadata": metadata,
        "volume metadata": volume_metadata,
        "errors": errors,
        "servers": servers,
        "quotas": quotas,
        "application credentials": application_credentials,
    }
    wanted = sys.argv[2:] or list(groups)
    print(json.dumps({name: outcome(groups[name], cloud, volume_id) for name in wanted}))


def outcome(group, cloud, volume_id):
    try:
        return group(cloud, volume_id)
    except Exception as error:  # The test tells which group broke, whatever broke it.
        return {"error": f"{type(error).__name__}: {error}"}


def identity(cloud, _):
    return {
        "project": cloud.current_project.name,
        "project id": cloud.current_project_id,
        "region": cloud.config.get_region_name(),
        "services": sorted(entry["type"] for entry in cloud.service_catalog),
    }


def volumes(cloud, volume_id):
    api = cloud.block_storage
    found = api.get_volume(volume_id)
    made = api.create_volume(size=1, name="sdk", metadata={"by": "sdk"})
    made = api.wait_for_status(made, "available", interval=0.05, wait=20)
    api.extend_volume(made, 2)
    # The SDK first looks at the status that it knows, which is that of before.
    made = api.wait_for_status(api.get_volume(made), "available", interval=0.05, wait=20)
    names = sorted(volume.name for volume in api.volumes(details=True))
    size = api.get_volume(made).size
    api.delete_volume(made, ignore_missing=False)
    api.wait_for_delete(made, interval=0.05, wait=20)
    return {"found": found.name, "size": size, "names": names, "type": type(found.created_at).__name__}


def snapshots(cloud, volume_id):
    api = cloud.block_storage
    made = api.create_snapshot(volume_id=volume_id, name="sdk-snapshot", is_forced=True, metadata={"a": "b"})
    made = api.wait_for_status(made, "available", interval=0.05, wait=20)
    status = made.status
    renamed = api.update_snapshot(made, name="renamed") if hasattr(api, "update_snapshot") else made
    by_name = api.find_snapshot(renamed.name, ignore_missing=False)
    paged = [snapshot.id for snapshot in api.snapshots(details=True, limit=1)]
    volume = api.create_volume(size=made.size, name="from-snapshot", snapshot_id=made.id)
    volume = api.wait_for_status(volume, "available", interval=0.05, wait=20)
    restored = api.get_volume(volume).snapshot_id == made.id
    api.delete_volume(volume)
    api.wait_for_delete(volume, interval=0.05, wait=20)
    api.delete_snapshot(made, ignore_missing=False)
    api.wait_for_delete(made, interval=0.05, wait=20)
    return {
        "status": status,
        "metadata": made.metadata,
        "found": by_name.id == made.id,
        "paged": made.id in paged,
        "restored": restored,
        "size": made.size,
    }


def metadata(cloud, volume_id):
    api = cloud.block_storage
    made = api.create_snapshot(volume_id=volume_id, name="sdk-metadata", is_forced=True, metadata={"a": "1", "b": "2"})
    api.wait_for_status(made, "available", interval=0.05, wait=20)
    api.set_snapshot_metadata(made, c="3")
    # openstacksdk remembers only what it has just set, and looks for the key there.
    api.delete_snapshot_metadata(api.get_snapshot(made), keys=["a"])
    after = api.get_snapshot_metadata(made).metadata
    api.delete_snapshot(made)
    return after


def volume_metadata(cloud, volume_id):
    api = cloud.block_storage
    made = api.create_volume(size=1, name="sdk-metadata", metadata={"a": "1", "b": "2"})
    made = api.wait_for_status(made, "available", interval=0.05, wait=20)
    api.set_volume_metadata(made, c="3")
    api.delete_volume_metadata(api.get_volume(made), keys=["a"])
    after = api.get_volume_metadata(made).metadata
    api.delete_volume(made)
    api.wait_for_delete(made, interval=0.05, wait=20)
    return {"after": after}


def errors(cloud, _):
    api = cloud.block_storage
    return refusals({
        "unknown snapshot": lambda: api.get_snapshot("00000000-0000-4000-8000-000000000000"),
        "no volume": lambda: api.create_snapshot(volume_id="00000000-0000-4000-8000-000000000000"),
        "unknown type": lambda: api.create_volume(size=1, volume_type="default"),
        "multiattach": lambda: api.post("/volumes", json={"volume": {"size": 1, "multiattach": True}}),
        "all servers": lambda: list(cloud.compute.servers(all_projects=True)),
        "bad page": lambda: list(cloud.compute.servers(limit=-1)),
    })


def refusals(calls):
    texts = {}
    for name, call in calls.items():
        try:
            answer = call()
            openstack.exceptions.raise_from_response(answer) if hasattr(answer, "status_code") else None
            texts[name] = "no error"
        except openstack.exceptions.HttpException as error:
            texts[name] = f"{error.status_code} {type(error).__name__}"
    return texts


def servers(cloud, _):
    api = cloud.compute
    found = list(api.servers())
    attached = list(api.volume_attachments(found[0])) if found else []
    return {
        "servers": len(found),
        "status": found[0].status if found else None,
        "attachments": len(attached),
        "by name": len(list(api.servers(name=f"^{found[0].name}$"))),
        "by another name": len(list(api.servers(name="nomatch"))),
        "by status": len(list(api.servers(status="SHUTOFF"))),
        "in pages": len(list(api.servers(limit=1))),
        "flavor": found[0].flavor.original_name,
    }


def quotas(cloud, _):
    project = cloud.current_project_id
    usage = cloud.block_storage.get_quota_set(project, usage=True)
    limits = cloud.block_storage.get_limits().absolute
    return {
        "volumes": usage.volumes,
        "used": usage.usage["volumes"],
        "limits": limits.total_volumes_used,
    }


def application_credentials(cloud, _):
    api = cloud.identity
    user = cloud.current_user_id
    made = api.create_application_credential(user, name="sdk", roles=[{"name": "reader"}])
    shown = api.get_application_credential(user, made.id)
    named = api.find_application_credential(user, "sdk").id == made.id
    texts = refusals({
        "twice": lambda: api.create_application_credential(user, name="sdk"),
        "admin": lambda: api.create_application_credential(user, name="more", roles=[{"name": "admin"}]),
        "past": lambda: api.create_application_credential(user, name="past", expires_at="2001-01-01T00:00:00Z"),
    })
    api.delete_application_credential(user, made.id)
    return {"roles": [role["name"] for role in shown.roles], "named": named, **texts}


main()
