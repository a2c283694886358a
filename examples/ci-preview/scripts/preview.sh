#!/usr/bin/env bash
# preview.sh [base]: what would this program change? Answered on the emulator: no cloud, no account, no credentials.
#
# With `base`, a folder that holds the program as it was before, that one is deployed to the emulator first, and the
# preview shows what the pull request changes. Without, the preview shows everything as new.
#
# Writes comment.md, which scripts/comment.sh posts. Ends with the preview's own exit code.
set -euo pipefail

program=$PWD
base=${1:-}
if [ -n "$base" ]; then base=$(cd "$base" && pwd); fi
# The pull request that brings the program: there is nothing before it.
if [ ! -f "$base/Pulumi.yaml" ]; then base=; fi
work=$(mktemp -d)
emulator_pid=

# shellcheck disable=SC2317 # it is reached, by the trap
clean_up() {
  if [ -n "$emulator_pid" ]; then
    kill "$emulator_pid" 2>/dev/null || true
    wait "$emulator_pid" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT

start_emulator() {
  node_modules/.bin/snapclone emulator --port 0 --clock instant --write-config "$work/emulator.yaml" \
    >"$work/emulator.txt" 2>&1 &
  emulator_pid=$!
  for _ in $(seq 100); do
    if grep -q '^control ' "$work/emulator.txt"; then return; fi
    if ! kill -0 "$emulator_pid" 2>/dev/null; then break; fi
    sleep 0.1
  done
  echo "the emulator has not started:" >&2
  cat "$work/emulator.txt" >&2
  return 1
}

# Every login that this machine may have is out of reach. What is left is the emulator's, in the stack's configuration:
# that comes before all other places (docs/connections.md of pulumi-snapclone).
use_emulator_only() {
  local name
  for name in $(compgen -e | grep -E '^(OS_|VIPR_|ZSTACK_|PULUMI_(ACCESS_TOKEN|CONFIG|HOME|STACK))' || true); do unset "$name"; done
  export OS_CLIENT_CONFIG_FILE=/dev/null
  mkdir "$work/state" "$work/home" "$work/config"
  export PULUMI_BACKEND_URL="file://$work/state" PULUMI_HOME="$work/home" PULUMI_SKIP_UPDATE_CHECK=true
  # Nothing outlives this script, so the passphrase protects nothing.
  export PULUMI_CONFIG_PASSPHRASE=preview
}

# The stack's configuration is made beside the project, so that the project's own files stay as they are. What the
# program needs besides the connections can be in the project's Pulumi.preview.yaml.
make_stack() {
  local connections
  mapfile -t connections < <(
    awk '/^    [^ ]+:$/ { name = $1; sub(":", "", name) }
         /^      [^ ]+: "/ {
           key = $1; sub(":", "", key); value = $0; sub(/^[^"]*"/, "", value); sub(/"$/, "", value)
           print "--plaintext"; print "snapclone:connections." name "." key "=" value
         }' "$work/emulator.yaml"
  )
  cp Pulumi.yaml "$work/config"
  if [ -f Pulumi.preview.yaml ]; then cp Pulumi.preview.yaml "$work/config"; fi
  cd "$work/config"
  pulumi stack init preview "${quiet[@]}"
  pulumi config set-all --stack preview --path "${connections[@]}" "${quiet[@]}"
  cd "$program"
}

quiet=(--non-interactive --color never)
on_stack() { pulumi "$@" --stack preview --config-file "$work/config/Pulumi.preview.yaml" "${quiet[@]}"; }

write_comment() {
  local code=$1 limit=60000
  {
    # scripts/comment.sh finds its earlier comment by this line.
    echo '<!-- snapclone-preview -->'
    if [ "$code" -eq 0 ]; then echo '### Pulumi preview'; else echo '### Pulumi preview: failed'; fi
    echo
    echo '``````diff'
    # GitHub refuses comments of more than 65536 characters.
    head -c "$limit" "$work/preview.txt"
    if [ "$(wc -c <"$work/preview.txt")" -gt "$limit" ]; then printf '\n… cut off here; the log of this run has it all\n'; fi
    echo '``````'
  } >comment.md
}

start_emulator
use_emulator_only
make_stack

code=0
if [ -n "$base" ]; then
  echo "deploying the program as it was to the emulator"
  cd "$base"
  on_stack up --yes --skip-preview >"$work/preview.txt" 2>&1 || code=$?
  cd "$program"
fi
if [ "$code" -eq 0 ]; then on_stack preview --diff >"$work/preview.txt" 2>&1 || code=$?; fi
cat "$work/preview.txt"
write_comment "$code"
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then cat comment.md >>"$GITHUB_STEP_SUMMARY"; fi
exit "$code"
