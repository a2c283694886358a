"""Names the fields that openstacksdk's classes have and the answers of a cloud lack.

A class also has fields that only requests have, or answers to others. EXCEPTIONS lists them, each with its reason; an exception
that the cloud does send is named as well. Prints one JSON object: what is wrong, by class. The cloud is the environment's.
"""

import json
import sys

import openstack

REQUEST = "only in requests"
OTHER_ROLE = "shown to administrators"

SERVER_ADMIN = [
    "OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:hostname", "OS-EXT-SRV-ATTR:hypervisor_hostname",
    "OS-EXT-SRV-ATTR:instance_name", "OS-EXT-SRV-ATTR:kernel_id", "OS-EXT-SRV-ATTR:launch_index",
    "OS-EXT-SRV-ATTR:ramdisk_id", "OS-EXT-SRV-ATTR:reservation_id", "OS-EXT-SRV-ATTR:root_device_name",
    "OS-EXT-SRV-ATTR:user_data", "host_status",
]
VOLUME_ADMIN = ["os-vol-host-attr:host", "os-vol-mig-status-attr:migstat", "os-vol-mig-status-attr:name_id"]

EXCEPTIONS = {
    "Volume": {
        "OS-SCH-HNT:scheduler_hints": REQUEST,
        "imageRef": REQUEST,
        "volume_image_metadata": "of a volume from an image",
        "os-volume-replication:driver_data": "until Ocata",
        "os-volume-replication:extended_status": "until Ocata",
    },
    "Snapshot": {"force": REQUEST},
    "Type": {},
    "QuotaSet": {"name": "of every class"},
    "Server": {
        "OS-SCH-HNT:scheduler_hints": REQUEST,
        "adminPass": "in the answer to a create",
        "block_device_mapping_v2": REQUEST,
        "flavorRef": REQUEST,
        "imageRef": REQUEST,
        "max_count": REQUEST,
        "min_count": REQUEST,
        "networks": REQUEST,
        "security_groups": "of a server with a network",
    },
    "VolumeAttachment": {"name": "of every class", "id": "until 2.88"},
    "Limits": {"id": "of every class", "name": "of every class"},
    "ComputeQuotaSet": {
        "name": "of every class",
        "force": REQUEST,
        "networks": "of nova-network",
        "fixed_ips": "until 2.35",
        "floating_ips": "until 2.35",
        "security_group_rules": "until 2.35",
        "security_groups": "until 2.35",
    },
    "Flavor": {"original_name": "of a flavor within a server"},
    "ApplicationCredential": {"user": REQUEST, "secret": "in the answer to a create"},
    "NewApplicationCredential": {"user": REQUEST},
    "Service": {"description": "where one was given"},
    "Endpoint": {"name": "where one was given"},
}

EXCEPTIONS["ListedServer"] = {**EXCEPTIONS["Server"], "server_groups": "of one server"}
HIDDEN = {"Volume": VOLUME_ADMIN, "Server": SERVER_ADMIN, "ListedServer": SERVER_ADMIN}


def main():
    cloud = openstack.connect(cloud="envvars")
    volume_id, role = sys.argv[1:3]
    admin = role == "admin"
    storage, compute, identity = cloud.block_storage, cloud.compute, cloud.identity
    made = storage.create_snapshot(volume_id=volume_id, name=f"fields-{role}", is_forced=True)
    [server] = list(compute.servers())[:1]
    user = cloud.current_user_id
    credential = identity.create_application_credential(user, name=f"fields-{role}")
    rows = [
        ("Volume", storage.get_volume(volume_id)),
        ("Volume", next(storage.volumes(details=True))),
        ("Snapshot", storage.get_snapshot(made.id)),
        ("Snapshot", next(storage.snapshots(details=True))),
        ("Type", next(storage.types())),
        ("Limits", storage.get_limits().absolute),
        ("QuotaSet", storage.get_quota_set(cloud.current_project_id)),
        ("Server", compute.get_server(server.id)),
        ("ListedServer", server),
        ("VolumeAttachment", next(compute.volume_attachments(server.id))),
        ("Limits", compute.get_limits().absolute),
        ("ComputeQuotaSet", compute.get_quota_set(cloud.current_project_id)),
        ("Flavor", next(compute.flavors())),
        ("NewApplicationCredential", credential),
        ("ApplicationCredential", identity.get_application_credential(user, credential.id)),
        ("ApplicationCredential", next(identity.application_credentials(user))),
    ]
    if admin:
        rows += [("Service", next(identity.services())), ("Endpoint", next(identity.endpoints()))]
    found = {}
    for name, row in rows:
        problems = differences(name, row, admin)
        if problems:
            found.setdefault(name, []).extend(problems)
    print(json.dumps({"checked": len(rows), "found": found}))


def differences(name, row, admin):
    expected = dict(EXCEPTIONS[name])
    if not admin:
        expected.update({field: OTHER_ROLE for field in HIDDEN.get(name, [])})
    sent = set(row._body.attributes)
    known = set(type(row)._body_mapping())
    missing = sorted(known - sent - set(expected))
    return [f"{field} is missing" for field in missing] + [
        f"{field} is there, though it is an exception: {expected[field]}" for field in sorted(sent & set(expected))
    ]


main()
