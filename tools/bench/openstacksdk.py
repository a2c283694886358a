"""Makes N snapshots with openstacksdk as programs do, waiting for each, on several threads; prints the seconds."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import openstack

volume, n, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
cloud = openstack.connect()
begun = time.monotonic()
with ThreadPoolExecutor(threads) as pool:
    made = list(pool.map(lambda i: cloud.create_volume_snapshot(volume, wait=True, name=f"s{i}"), range(n)))
assert all(snapshot.status == "available" for snapshot in made)
print(round(time.monotonic() - begun, 2))
