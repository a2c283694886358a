#!/usr/bin/env bash
# ephemeral.sh up|destroy <pull request>: the stack pr-<n>, for real, on whatever connection the environment or the
# stack's configuration names. `destroy` takes the resources and the stack away, and is content if there is none.
#
# VOLUME_ID: the volume to copy, if it isn't the one in Pulumi.yaml.
set -euo pipefail

usage='usage: ephemeral.sh up|destroy <pull request>'
action=${1:?$usage}
pull=${2:?$usage}
if ! [[ $pull =~ ^[0-9]+$ ]]; then
  echo "ephemeral.sh: \"$pull\" is no number of a pull request" >&2
  exit 2
fi
stack=pr-$pull

quiet=(--non-interactive --color never)
exists() { pulumi stack ls --json "${quiet[@]}" | grep -q "\"name\": \"\([^\"]*/\)\?$stack\""; }

case $action in
  up)
    pulumi stack select --create "$stack" "${quiet[@]}"
    if [ -n "${VOLUME_ID:-}" ]; then pulumi config set volumeId "$VOLUME_ID" --stack "$stack" "${quiet[@]}"; fi
    # An earlier run that was killed has left its lock; the workflow never runs two at once for a pull request.
    pulumi cancel --yes --stack "$stack" "${quiet[@]}" >/dev/null 2>&1 || true
    pulumi up --yes --skip-preview --stack "$stack" "${quiet[@]}"
    ;;
  destroy)
    if ! exists; then
      echo "there is no stack $stack: nothing to destroy"
      exit
    fi
    pulumi cancel --yes --stack "$stack" "${quiet[@]}" >/dev/null 2>&1 || true
    pulumi destroy --yes --skip-preview --remove --stack "$stack" "${quiet[@]}"
    ;;
  *)
    echo "$usage" >&2
    exit 2
    ;;
esac
