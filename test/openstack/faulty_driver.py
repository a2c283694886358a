"""A Cinder driver without storage, for the recorded exchanges (test/contract/replay.ts): what it is to do wrong is said
by the snapshot's name. A volume depends on the snapshot that it was made from, as on copy-on-write storage (the RBD
driver's delete_snapshot raises the same, cinder/volume/drivers/rbd.py). up.sh puts it where cinder-volume finds it.
"""

import eventlet

from cinder import context
from cinder import exception
from cinder import objects
from cinder.volume import driver

# Long enough for a test to look at the work from outside while it is under way, on a loaded machine too.
SLOW = 5
DELETION = 2


class FaultyDriver(driver.VolumeDriver):
    VERSION = "1.0"

    def check_for_setup_error(self):
        pass

    def create_volume(self, volume):
        pass

    def create_volume_from_snapshot(self, volume, snapshot):
        pass

    def create_cloned_volume(self, volume, src_vref):
        pass

    def delete_volume(self, volume):
        eventlet.sleep(DELETION)

    def create_snapshot(self, snapshot):
        name = snapshot.display_name or ""
        if "slow" in name:
            eventlet.sleep(SLOW)
        if "fail-create" in name:
            raise exception.VolumeBackendAPIException(data="no space on backend")

    def delete_snapshot(self, snapshot):
        name = snapshot.display_name or ""
        eventlet.sleep(DELETION)
        dependent = objects.VolumeList.get_all(context.get_admin_context(), filters={"snapshot_id": snapshot.id})
        if "busy" in name or dependent:
            raise exception.SnapshotIsBusy(snapshot_name=snapshot.name)
        if "fail-delete" in name:
            raise exception.VolumeBackendAPIException(data="backend refused")

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def _update_volume_stats(self):
        self._stats = {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name"), "vendor_name": "snapclone",
            "driver_version": self.VERSION, "storage_protocol": "none", "total_capacity_gb": "infinite",
            "free_capacity_gb": "infinite",
        }
