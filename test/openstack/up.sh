#!/usr/bin/env bash
# Brings up a real OpenStack on one Debian 12 machine, from Debian's packages, as root: Keystone and Cinder with the NFS
# driver and qcow2 snapshots; `--nova` adds Nova, Placement, libvirt and QEMU. It has a database, a message broker and
# ports of its own, so that it disturbs nothing else on the machine. Run again, it repairs what is missing and is quick.
# `--packages` only installs the packages.
#
#   SNAPCLONE_OPENSTACK_LAB  the folder (default: snapclone-openstack in the temp folder)
#   TOKEN_EXPIRATION         life of a token in seconds (3600)
#   TOKEN_CACHE_TIME         how long Cinder trusts a token without asking Keystone again; -1: always asks (300)
#
# It ends with lab.json, openrc and clouds.yaml in the folder, and prints lab.json's path.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/openstack/common.sh
. "$HERE/common.sh"

LOG=$LAB/log
NOVA=0
PACKAGES_ONLY=0
for argument in "$@"; do
  case $argument in
    --nova) NOVA=1 ;;
    --packages) PACKAGES_ONLY=1 ;;
    *) die "usage: up.sh [--nova] [--packages]" ;;
  esac
done

main() {
  check_machine
  take_turn
  make_folder
  install_packages
  [ "$PACKAGES_ONLY" = 0 ] || return 0
  # The services talk to each other on 127.0.0.1 only; a proxy or somebody's OS_* would lead them astray.
  unset "${!OS_@}" http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
  choose_ports
  start_database
  start_broker
  local -a syncs=()
  keystone_config
  cinder_config
  sync_once keystone keystone-manage --config-file "$LAB/keystone/keystone.conf" db_sync
  sync_once cinder cinder-manage --config-file "$LAB/cinder/cinder.conf" db sync
  wait_for_syncs "databases of Keystone and Cinder"
  start_keystone
  populate identity
  start_cinder
  [ "$NOVA" = 0 ] || start_nova
  populate block-storage
  printf '%-52s %6s s\n' "lab ready" "$(seconds_since "$BEGAN")" >&2
  echo "$LAB/lab.json"
}

check_machine() {
  local ID="" VERSION_ID=""
  [ "$(uname -s)" = Linux ] || die "needs Linux"
  [ "$(id -u)" = 0 ] || die "needs root (packages, a tmpfs mount)"
  # shellcheck source=/dev/null
  . /etc/os-release
  [ "$ID $VERSION_ID" = "debian 12" ] || die "needs Debian 12; this is ${ID:-unknown} $VERSION_ID"
  # sun_path is 108 bytes (unix(7)).
  [ "${#RUN}" -le 90 ] || die "the folder's path is too long for a socket: $LAB"
}

make_folder() {
  mkdir -p "$LAB"
  # A predictable name in a folder that everybody may write to: never follow what somebody else put there.
  if [ ! -O "$LAB" ] || [ -L "$LAB" ]; then die "$LAB belongs to somebody else"; fi
  [ -e "$LAB/.snapclone-lab" ] || [ -z "$(ls -A "$LAB")" ] || die "$LAB is not empty and was not made by up.sh"
  # After a reboot the records are on disk and the volumes, on tmpfs, are gone: a lab that only looks right.
  if [ -d "$LAB/mysql" ] && ! mountpoint -q "$SHARE_AT"; then
    stop_all
    rm -rf "$LAB"
  fi
  # QEMU runs under an account of its own and must reach the volumes; the database's socket has no password.
  mkdir -p "$LOG" "$RUN" "$SHARE_AT"
  chmod 755 "$LAB" "$LAB/mnt"
  chmod 700 "$RUN"
  touch "$LAB/.snapclone-lab"
  # A lab that has Nova keeps it.
  [ ! -e "$LAB/synced.nova" ] || NOVA=1
  mountpoint -q "$SHARE_AT" || mount -t tmpfs -o size=64g,mode=777 "$SHARE" "$SHARE_AT" ||
    die "cannot mount a tmpfs: in a container, this needs CAP_SYS_ADMIN"
}

install_packages() {
  local -a wanted=(mariadb-server python3-pymysql rabbitmq-server keystone uwsgi-core uwsgi-plugin-python3 cinder-api
    cinder-scheduler cinder-volume python3-openstacksdk python3-openstackclient python3-requests qemu-utils nfs-common sudo curl ca-certificates
    squid tinyproxy nginx) missing=()
  [ "$NOVA" = 0 ] || wanted+=(nova-api nova-conductor nova-scheduler nova-compute nova-compute-qemu placement-api
    libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86)
  local package policy=/usr/sbin/policy-rc.d made=0
  for package in "${wanted[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  # Debian starts services on installation, on the ports of anything real on this machine: 101 forbids it (invoke-rc.d(8)).
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=1
  fi
  export DEBIAN_FRONTEND=noninteractive
  local -a apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  if ! { timeout 300 "${apt[@]}" update && timeout 900 "${apt[@]}" install --no-install-recommends "${missing[@]}"; } >"$LOG/apt.log" 2>&1; then
    [ "$made" = 0 ] || rm -f "$policy"
    show "$LOG/apt.log"
    die "apt-get could not install: ${missing[*]}"
  fi
  [ "$made" = 0 ] || rm -f "$policy"
  step "packages (${#missing[@]} asked for)"
}

# The usual port, or the next free one. Remembered, as Keystone's catalogue carries it. Two labs that start at once would
# both find a port free, and Cinder's API shares one without an error (SO_REUSEPORT): the lock is held until ours listens.
choose_ports() {
  exec 8>"${TMPDIR:-/tmp}/snapclone-openstack.ports.lock"
  flock -w 1200 8 || die "another up.sh has been choosing its ports for 20 minutes"
  KEYSTONE_PORT=$(port keystone 5000 keystone)
  CINDER_PORT=$(port cinder 8776 cinder-api)
  AMQP_PORT=$(port amqp 5672 rabbitmq)
  DIST_PORT=$(port dist 25672 rabbitmq)
  EPMD_PORT=$(port epmd 4369 epmd)
  NOVA_PORT=$(port nova 8774 nova-api)
  PLACEMENT_PORT=$(port placement 8778 placement)
  AUTH_URL=http://127.0.0.1:$KEYSTONE_PORT/v3
}

port() {
  local file=$LAB/port.$1 candidate
  candidate=$(cat "$file" 2>/dev/null || echo "$2")
  # A port in use is fine if it is our own process that uses it.
  until alive "$3" || ! listening "$candidate"; do candidate=$((candidate + 1)); done
  echo "$candidate" | tee "$file"
}

listening() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

start_database() {
  local data=$LAB/mysql socket=$RUN/mysql.sock
  [ -d "$data/mysql" ] || logged 60 mysql-install mariadb-install-db --no-defaults --user=root --datadir="$data" \
    --auth-root-authentication-method=normal --skip-test-db
  # Durability is of no use here, and every commit is waited for.
  start mariadb "" mariadbd --no-defaults --user=root --datadir="$data" --socket="$socket" --skip-networking \
    --pid-file="$RUN/mysql.id" --character-set-server=utf8mb3 --max-connections=500 \
    --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --performance-schema=OFF
  SQL=(mariadb --no-defaults --socket="$socket" -u root)
  until_ok 60 "MariaDB" mariadb "${SQL[@]}" -e "select 1"
  local name
  for name in keystone cinder nova nova_api nova_cell0 placement; do echo "create database if not exists $name;"; done | "${SQL[@]}"
  step "database"
}

database() {
  echo "mysql+pymysql://root@localhost/$1?unix_socket=$RUN/mysql.sock"
}

# Not waited for: it starts while the databases are filled.
start_broker() {
  mkdir -p "$LAB/rabbit"
  echo "[]." >"$LAB/rabbit/plugins"
  start epmd "" env ERL_EPMD_ADDRESS=127.0.0.1 epmd -port "$EPMD_PORT"
  start rabbitmq "" env HOME="$LAB/rabbit" ERL_EPMD_PORT="$EPMD_PORT" ERL_EPMD_ADDRESS=127.0.0.1 \
    RABBITMQ_NODENAME=snapclone@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$AMQP_PORT" \
    RABBITMQ_DIST_PORT="$DIST_PORT" RABBITMQ_MNESIA_BASE="$LAB/rabbit/mnesia" RABBITMQ_LOG_BASE="$LOG" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$LAB/rabbit/plugins" RABBITMQ_CONFIG_FILE="$LAB/rabbit/rabbitmq" \
    RABBITMQ_PID_FILE="$RUN/rabbitmq.id" RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" \
    /usr/lib/rabbitmq/bin/rabbitmq-server
}

keystone_config() {
  mkdir -p "$LAB/keystone"
  # The least rounds that bcrypt takes: the default costs a quarter of a second of processor for each login.
  cat >"$LAB/keystone/keystone.conf" <<CONF
[DEFAULT]
log_dir = $LOG
[database]
connection = $(database keystone)
[token]
provider = fernet
expiration = ${TOKEN_EXPIRATION:-3600}
[fernet_tokens]
key_repository = $LAB/keystone/fernet
# Looked for even where nobody asks for a receipt, and there only if the package's installation has set Keystone up.
[fernet_receipts]
key_repository = $LAB/keystone/fernet
[credential]
key_repository = $LAB/keystone/credential
[identity]
password_hash_rounds = 4
CONF
}

start_keystone() {
  local manage=(keystone-manage --config-file "$LAB/keystone/keystone.conf") kind key
  # As `keystone-manage fernet_setup` leaves them: a staged key 0 and a primary key 1, 32 bytes each, URL-safe base64.
  for kind in fernet credential; do
    mkdir -p "$LAB/keystone/$kind"
    for key in 0 1; do
      [ -s "$LAB/keystone/$kind/$key" ] || (umask 077 && head -c 32 /dev/urandom | base64 | tr +/ -_ >"$LAB/keystone/$kind/$key")
    done
  done
  # An address that changed is corrected by a second bootstrap.
  if [ "$(cat "$LAB/keystone/bootstrapped" 2>/dev/null)" != "$AUTH_URL" ]; then
    logged 60 keystone-bootstrap "${manage[@]}" bootstrap --bootstrap-password secret --bootstrap-region-id RegionOne \
      --bootstrap-public-url "$AUTH_URL" --bootstrap-internal-url "$AUTH_URL" --bootstrap-admin-url "$AUTH_URL"
    echo "$AUTH_URL" >"$LAB/keystone/bootstrapped"
  fi
  start keystone "$LAB/keystone/keystone.conf" env OS_KEYSTONE_CONFIG_DIR="$LAB/keystone" \
    uwsgi "${UWSGI[@]}" --http-socket "127.0.0.1:$KEYSTONE_PORT" --wsgi-file /usr/bin/keystone-wsgi-public --processes 2 --threads 8
  until_ok 60 "Keystone" keystone curl -sf --max-time 5 "$AUTH_URL"
  step "Keystone"
}

# The plugin first: it brings the options that follow. uWSGI's plain HTTP socket ends a connection after each answer; clients that keep it alive see resets unless told.
UWSGI=(--plugin python3 --enable-threads --lazy-apps --master --die-on-term --buffer-size 65535 --add-header "Connection: close")

cinder_config() {
  local etc=$LAB/cinder
  mkdir -p "$etc/lock"
  # A service that runs has loaded the driver as it was.
  cmp -s "$HERE/faulty_driver.py" "$etc/faulty_driver.py" || stop cinder-volume
  cp /etc/cinder/api-paste.ini /etc/cinder/resource_filters.json /etc/cinder/rootwrap.conf "$HERE/faulty_driver.py" "$etc/"
  echo "$SHARE" >"$etc/shares"
  cat >"$etc/cinder.conf" <<CONF
[DEFAULT]
host = snapclone
rootwrap_config = $etc/rootwrap.conf
api_paste_config = $etc/api-paste.ini
resource_query_filters_file = $etc/resource_filters.json
auth_strategy = keystone
transport_url = rabbit://guest:guest@127.0.0.1:$AMQP_PORT/
state_path = $etc
log_dir = $LOG
enabled_backends = nfs,faulty
osapi_volume_listen = 127.0.0.1
osapi_volume_listen_port = $CINDER_PORT
osapi_volume_workers = 2
quota_volumes = 100000
quota_snapshots = 100000
quota_gigabytes = 100000000
# The scheduler believes the backend's last word on free space: often, so that it is not surprised by a full test run.
backend_stats_polling_interval = 10
max_over_subscription_ratio = 10000
[database]
connection = $(database cinder)
[keystone_authtoken]
www_authenticate_uri = $AUTH_URL
token_cache_time = ${TOKEN_CACHE_TIME:-300}
$(service_account cinder)
[nova]
$(service_account nova)
[oslo_concurrency]
lock_path = $etc/lock
[nfs]
volume_backend_name = nfs
volume_driver = cinder.volume.drivers.nfs.NfsDriver
nfs_shares_config = $etc/shares
nfs_mount_point_base = $LAB/mnt
nfs_snapshot_support = True
nfs_qcow2_volumes = True
nas_secure_file_operations = False
nas_secure_file_permissions = False
max_over_subscription_ratio = 10000
# For the recorded exchanges alone. Its availability zone keeps it apart: a volume gets there by asking for it.
[faulty]
volume_backend_name = faulty
volume_driver = faulty_driver.FaultyDriver
backend_availability_zone = faulty
CONF
}

service_account() {
  printf '%s\n' "auth_url = $AUTH_URL" "auth_type = password" "project_domain_name = Default" "user_domain_name = Default" \
    "project_name = service" "region_name = RegionOne" "username = $1" "password = secret"
}

start_cinder() {
  local service
  until_ok 60 "RabbitMQ" rabbitmq listening "$AMQP_PORT"
  for service in cinder-volume cinder-scheduler cinder-api; do
    start "$service" "$LAB/cinder/cinder.conf" env PYTHONPATH="$LAB/cinder" "$service" --config-file "$LAB/cinder/cinder.conf"
  done
  until_ok 60 "Cinder's API" cinder-api listening "$CINDER_PORT"
  step "Cinder's services"
}

start_nova() {
  local etc=$LAB/nova manage=(nova-manage --config-file "$LAB/nova/nova.conf") service
  mkdir -p "$etc/lock" "$etc/instances" "$LAB/placement"
  cp /etc/nova/api-paste.ini /etc/nova/rootwrap.conf "$etc/"
  cat >"$LAB/placement/placement.conf" <<CONF
[api]
auth_strategy = keystone
[keystone_authtoken]
www_authenticate_uri = $AUTH_URL
$(service_account placement)
[placement_database]
connection = $(database placement)
CONF
  # No Glance and no Neutron: a server boots from a volume and has no network.
  cat >"$etc/nova.conf" <<CONF
[DEFAULT]
host = snapclone
my_ip = 127.0.0.1
transport_url = rabbit://guest:guest@127.0.0.1:$AMQP_PORT/
state_path = $etc
log_dir = $LOG
rootwrap_config = $etc/rootwrap.conf
compute_driver = libvirt.LibvirtDriver
instances_path = $etc/instances
enabled_apis = osapi_compute
osapi_compute_listen = 127.0.0.1
osapi_compute_listen_port = $NOVA_PORT
osapi_compute_workers = 1
[api]
auth_strategy = keystone
[wsgi]
api_paste_config = $etc/api-paste.ini
[api_database]
connection = $(database nova_api)
[database]
connection = $(database nova)
[keystone_authtoken]
www_authenticate_uri = $AUTH_URL
$(service_account nova)
[placement]
$(service_account placement)
[cinder]
os_region_name = RegionOne
catalog_info = volumev3:cinder:publicURL
$(service_account nova)
[neutron]
$(service_account nova)
[glance]
api_servers = http://127.0.0.1:9
[libvirt]
virt_type = qemu
nfs_mount_point_base = $LAB/mnt
[oslo_concurrency]
lock_path = $etc/lock
[vnc]
enabled = false
[conductor]
workers = 1
[scheduler]
workers = 1
CONF
  sync_once placement placement-manage --config-file "$LAB/placement/placement.conf" db sync
  sync_once nova_api "${manage[@]}" api_db sync
  wait_for_syncs "databases of Placement and Nova's API"
  sync_once nova_cell0 "${manage[@]}" cell_v2 map_cell0
  wait_for_syncs "Nova's cell0"
  sync_once nova_cell1 "${manage[@]}" cell_v2 create_cell --name=cell1
  wait_for_syncs "Nova's cell1"
  sync_once nova "${manage[@]}" db sync
  wait_for_syncs "database of Nova"
  # libvirt's daemons have one socket a machine: somebody else's are as good.
  pgrep -x virtlogd >/dev/null || start virtlogd "" virtlogd
  timeout 10 virsh -q -c qemu:///system list >/dev/null 2>&1 || start libvirtd "" libvirtd
  until_ok 60 "libvirt" libvirtd timeout 10 virsh -q -c qemu:///system list
  # Those of a lab that was not ended in good order.
  alive nova-compute || forget_guests
  start placement "$LAB/placement/placement.conf" env OS_PLACEMENT_CONFIG_DIR="$LAB/placement" \
    uwsgi "${UWSGI[@]}" --http-socket "127.0.0.1:$PLACEMENT_PORT" --wsgi-file /usr/bin/placement-api --processes 1 --threads 4
  until_ok 60 "Placement" placement curl -s --max-time 5 "http://127.0.0.1:$PLACEMENT_PORT/"
  for service in nova-conductor nova-scheduler nova-compute nova-api; do
    start "$service" "$etc/nova.conf" "$service" --config-file "$etc/nova.conf"
  done
  until_ok 90 "Nova's API" nova-api listening "$NOVA_PORT"
  populate compute
  # It finds a host once, and takes ten seconds to say so again.
  [ -e "$LAB/synced.discover" ] || logged 60 nova-discover "${manage[@]}" cell_v2 discover_hosts
  touch "$LAB/synced.discover"
  step "Nova"
}

# What only the APIs can make: users, catalogue, volumes, and at the end lab.json, openrc and clouds.yaml.
populate() {
  # Only of identity the answer can't change behind our back: volumes come and go.
  local stamp="$AUTH_URL $CINDER_PORT $NOVA_PORT $PLACEMENT_PORT $NOVA"
  if [ "$1" = identity ] && [ "$(cat "$LAB/populated.identity" 2>/dev/null)" = "$stamp" ]; then return 0; fi
  timeout 300 /usr/bin/python3 "$HERE/populate.py" "$1" --lab "$LAB" --auth-url "$AUTH_URL" \
    --cinder "http://127.0.0.1:$CINDER_PORT/v3/%(project_id)s" --nova "http://127.0.0.1:$NOVA_PORT/v2.1" \
    --placement "http://127.0.0.1:$PLACEMENT_PORT" --with-nova "$NOVA" >"$LOG/populate.out" 2>&1 || {
    show "$LOG/populate.out"
    case $1 in
      identity) show "$LOG/keystone.out" "$LOG/keystone.log" ;;
      block-storage) show "$LOG/cinder-api.log" "$LOG/cinder-scheduler.log" "$LOG/cinder-volume.log" ;;
      compute) show "$LOG/nova-compute.log" "$LOG/nova-conductor.log" ;;
    esac
    die "populating failed: $1"
  }
  [ "$1" != identity ] || echo "$stamp" >"$LAB/populated.identity"
  step "populated: $1"
}

# Starts a process in the background unless it runs already with the same command and the same configuration file.
start() {
  local name=$1 config=$2 signature pid
  shift 2
  signature=$(printf '%s\0' "$@" | cat - "${config:-/dev/null}" | md5sum | cut -d' ' -f1)
  if alive "$name" && [ "$(cut -d' ' -f3 "$RUN/$name.pid")" = "$signature" ]; then return 0; fi
  stop "$name"
  (cd "$LAB" && exec setsid "$@" >"$LOG/$name.out" 2>&1 </dev/null 8>&- 9>&-) &
  pid=$!
  echo "$pid $(start_time "$pid") $signature $*" >"$RUN/$name.pid"
}

# until_ok SECONDS WHAT PROCESS COMMAND…: asks until the command succeeds, the process has died or time is over.
until_ok() {
  local deadline=$((SECONDS + $1)) what=$2 name=$3 why
  shift 3
  until "$@" >/dev/null 2>&1; do
    why=""
    [ ! -e "$RUN/$name.pid" ] || alive "$name" || why="has ended"
    [ "$SECONDS" -lt "$deadline" ] || why="did not answer in time"
    if [ -n "$why" ]; then
      show "$LOG/$name.out" "$LOG/$name.log"
      die "$what $why"
    fi
    sleep 0.3
  done
}

# sync_once NAME COMMAND…: in the background, once in the lab's life.
sync_once() {
  local name=$1
  shift
  [ ! -e "$LAB/synced.$name" ] || return 0
  (timeout 300 "$@" >"$LOG/sync-$name.out" 2>&1 8>&- 9>&- && touch "$LAB/synced.$name") &
  syncs+=("$name:$!")
}

wait_for_syncs() {
  local entry
  for entry in "${syncs[@]}"; do
    wait "${entry#*:}" || {
      show "$LOG/sync-${entry%%:*}.out"
      die "filling the database ${entry%%:*} failed"
    }
  done
  [ "${#syncs[@]}" = 0 ] || step "$1"
  syncs=()
}

# logged SECONDS NAME COMMAND…
logged() {
  local seconds=$1 name=$2
  shift 2
  timeout "$seconds" "$@" >"$LOG/$name.out" 2>&1 8>&- 9>&- || {
    show "$LOG/$name.out"
    die "$name failed"
  }
}

show() {
  local file
  for file in "$@"; do
    [ ! -s "$file" ] || { printf '\n--- the end of %s\n' "$file" && tail -n 25 "$file"; } >&2
  done
}

BEGAN=$EPOCHREALTIME
LAST=$BEGAN

step() {
  printf '%-52s %6s s\n' "$1" "$(seconds_since "$LAST")" >&2
  LAST=$EPOCHREALTIME
}

seconds_since() {
  awk -v now="$EPOCHREALTIME" -v then="$1" 'BEGIN { printf "%.1f", now - then }'
}

main
