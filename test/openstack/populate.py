"""Fills the lab through the APIs: service users and catalogue, an ordinary project with a member, volumes to copy.

Called by up.sh in the order identity, (compute,) block-storage. Whatever exists already is left as it is.
"""

import argparse
import json
import os
import time

import openstack

PASSWORD = "secret"
VOLUMES = 3

options = argparse.ArgumentParser()
options.add_argument("stage", choices=["identity", "compute", "block-storage"])
for name in ("lab", "auth-url", "cinder", "nova", "placement", "with-nova"):
    options.add_argument(f"--{name}", required=True)
options = options.parse_args()


def connect(user, project):
    return openstack.connect(
        load_yaml_config=False, load_envvars=False, auth_url=options.auth_url, username=user, password=PASSWORD,
        project_name=project, user_domain_name="Default", project_domain_name="Default", region_name="RegionOne")


def identity():
    admin = connect("admin", "admin")
    cloud = admin.identity
    default = "default"
    roles = {role.name: role for role in cloud.roles()}

    def project(name):
        return cloud.find_project(name, domain_id=default) or cloud.create_project(name=name, domain_id=default)

    def user(name, project, role):
        found = cloud.find_user(name, domain_id=default) or cloud.create_user(
            name=name, password=PASSWORD, domain_id=default, default_project_id=project.id)
        cloud.assign_project_role_to_user(project, found, roles[role])

    service_project = project("service")
    services = [("cinder", "volumev3", options.cinder), ("nova", "compute", options.nova),
                ("placement", "placement", options.placement)]
    # Cinder signs in as nova for snapshots of attached volumes; Nova's catalogue entries wait until there is a Nova.
    for name, kind, url in services:
        user(name, service_project, "admin")
        if kind != "volumev3" and options.with_nova != "1":
            continue
        service = next(cloud.services(type=kind), None) or cloud.create_service(name=name, type=kind)
        known = {endpoint.interface: endpoint for endpoint in cloud.endpoints(service_id=service.id)}
        for interface in ("public", "internal", "admin"):
            if interface not in known:
                cloud.create_endpoint(service_id=service.id, interface=interface, url=url, region_id="RegionOne")
            elif known[interface].url != url:
                cloud.update_endpoint(known[interface].id, url=url)
    user("snapclone", project("snapclone"), "member")
    # A second tenant, for what must not be seen across projects.
    user("stranger", project("stranger"), "member")


def wait(what, seconds, look):
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {seconds} s")
        time.sleep(0.3)


def service_up(cloud, path, binary, hosts=1):
    """Asks for a service's state the raw way: the SDK's own calls change between releases."""
    def look():
        answer = cloud.get(path)
        rows = answer.json()["services"] if answer.ok else []
        return sum(row["binary"] == binary and row["state"] == "up" for row in rows) >= hosts
    return look


def compute():
    admin = connect("admin", "admin")
    # The first look at the hypervisor's capabilities takes up to a minute.
    wait("nova-compute up", 180, service_up(admin.compute, "/os-services", "nova-compute"))


def block_storage():
    admin = connect("admin", "admin")
    # A backend is a host by itself.
    for binary, hosts in (("cinder-volume", 2), ("cinder-scheduler", 1)):
        wait(f"{binary} up", 90, service_up(admin.block_storage, "/os-services", binary, hosts))
    member = connect("snapclone", "snapclone")
    cloud = member.block_storage
    volumes = []
    for number in range(1, VOLUMES + 1):
        name = f"snapclone-volume-{number}"
        usable = [volume for volume in cloud.volumes(name=name) if volume.status in ("available", "in-use")]
        volumes.append(usable[0] if usable else cloud.create_volume(name=name, size=1))
    ids = [volume.id for volume in volumes]
    for volume in ids:
        def settled(volume=volume):
            status = cloud.get_volume(volume).status
            if status.startswith("error"):
                raise SystemExit(f"volume {volume} is in status {status}")
            return status in ("available", "in-use")
        wait(f"volume {volume} available", 90, settled)
    write(member, ids)


def write(member, volumes):
    lab = {
        "authUrl": options.auth_url, "region": "RegionOne", "username": "snapclone", "password": PASSWORD,
        "userDomainName": "Default", "projectName": "snapclone", "projectDomainName": "Default",
        "projectId": member.current_project_id, "admin": {"username": "admin", "password": PASSWORD, "projectName": "admin"},
        "stranger": {"username": "stranger", "password": PASSWORD, "projectName": "stranger"},
        "cinderUrl": member.block_storage.get_endpoint(), "volumes": volumes, "nova": options.with_nova == "1",
        "novaUrl": options.nova,
        "folder": options.lab,
    }
    clouds = {
        cloud: {"auth": {"auth_url": options.auth_url, "username": user, "password": PASSWORD, "project_name": user,
                         "user_domain_name": "Default", "project_domain_name": "Default"}, "region_name": "RegionOne"}
        for cloud, user in (("snapclone", "snapclone"), ("snapclone-admin", "admin"))
    }
    openrc = {
        "OS_AUTH_URL": options.auth_url, "OS_USERNAME": "snapclone", "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": "snapclone", "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": "RegionOne", "OS_IDENTITY_API_VERSION": "3",
    }
    # JSON is YAML: one writer for both. lab.json comes last, as it is the sign that the lab is complete.
    save("clouds.yaml", json.dumps({"clouds": clouds}, indent=2))
    save("openrc", "".join(f"export {key}={value}\n" for key, value in openrc.items()))
    save("lab.json", json.dumps(lab, indent=2))


def save(name, text):
    path = os.path.join(options.lab, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text.rstrip("\n") + "\n")
    os.replace(path + ".new", path)


{"identity": identity, "compute": compute, "block-storage": block_storage}[options.stage]()
