# shellcheck shell=bash
# What up.sh and down.sh share: where the lab is, and how a process that we started is recognised again.

export LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LAB=${SNAPCLONE_OPENSTACK_LAB:-${TMPDIR:-/tmp}/snapclone-openstack}
RUN=$LAB/run
# Cinder mounts a share at <mount point base>/<md5 of the share's name> (os_brick/remotefs/remotefs.py, get_mount_point).
SHARE=127.0.0.1:/snapclone
SHARE_AT=$LAB/mnt/$(printf %s "$SHARE" | md5sum | cut -d' ' -f1)

die() {
  printf 'openstack lab: %s\n' "$*" >&2
  exit 1
}

# The kernel's start time of a process (proc(5), field 22). A recycled pid has another one.
start_time() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra stat <<<"${stat##*) }"
  echo "${stat[19]}"
}

# Is the process of this name, as recorded by up.sh ("pid start-time signature command"), still there?
alive() {
  local pid start _rest
  { read -r pid start _rest <"$RUN/$1.pid"; } 2>/dev/null || return 1
  [ "$(start_time "$pid")" = "$start" ]
}

# Ends one recorded process with its whole group; KILL after 20 s.
stop() {
  local pid _rest deadline=$((SECONDS + 20))
  if alive "$1"; then
    read -r pid _rest <"$RUN/$1.pid"
    kill -TERM -- "-$pid" 2>/dev/null || true
    while alive "$1" && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.2; done
    kill -KILL -- "-$pid" 2>/dev/null || true
  fi
  rm -f "$RUN/$1.pid"
}

# Ends and forgets the guests of this lab, told by their disks: libvirt keeps their definitions beyond its own end, and a
# new Nova counts its instances from 1 again.
forget_guests() {
  local name xml
  { timeout 20 virsh -q -c qemu:///system list --all --name 2>/dev/null || true; } | while read -r name; do
    xml=$([ -z "$name" ] || timeout 20 virsh -q -c qemu:///system dumpxml "$name" 2>/dev/null) || continue
    case $xml in *"'$LAB/"*) ;; *) continue ;; esac
    timeout 20 virsh -q -c qemu:///system destroy "$name" >/dev/null 2>&1 || true
    timeout 20 virsh -q -c qemu:///system undefine "$name" >/dev/null 2>&1 || true
  done
}

# Ends everything that up.sh started: services first, as one that loses its database or broker takes long to die.
stop_all() {
  local name record
  forget_guests
  for record in "$RUN"/*.pid; do
    name=$(basename "$record" .pid)
    case $name in
      mariadb | rabbitmq | epmd) ;;
      *) stop "$name" & ;;
    esac
  done
  wait
  for name in mariadb rabbitmq epmd; do stop "$name" & done
  wait
  ! mountpoint -q "$SHARE_AT" || umount "$SHARE_AT" 2>/dev/null || umount -l "$SHARE_AT"
}

# One up or down at a time. The lock lies beside the folder, so that it outlives a wipe.
take_turn() {
  exec 9>"$LAB.lock"
  flock -w 1200 9 || die "another up.sh or down.sh has held $LAB.lock for 20 minutes"
}
