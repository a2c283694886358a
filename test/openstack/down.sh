#!/usr/bin/env bash
# Ends the lab that up.sh made in the same $SNAPCLONE_OPENSTACK_LAB: its processes, guests and mount, nothing else.
# The next up.sh starts afresh, as the volumes go with the mount. `--keep` leaves configuration and logs to look at;
# without it the folder goes too. Packages stay installed.
set -euo pipefail
# shellcheck source=test/openstack/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

case "${1:-}" in
  "" | --keep) ;;
  *) die "usage: down.sh [--keep]" ;;
esac
[ -d "$LAB" ] || exit 0
[ "$(id -u)" = 0 ] || die "needs root"
if [ ! -O "$LAB" ] || [ -L "$LAB" ] || [ ! -e "$LAB/.snapclone-lab" ]; then
  die "$LAB was not made by up.sh: left alone"
fi
take_turn
stop_all
rm -f "$LAB/lab.json"
[ "${1:-}" = --keep ] || rm -rf "$LAB"
