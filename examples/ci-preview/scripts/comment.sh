#!/usr/bin/env bash
# comment.sh <pull request>: posts comment.md there, or puts it into the comment that an earlier run has posted. Uses the
# runner's own `gh`, which needs GH_TOKEN and GITHUB_REPOSITORY. With DRY_RUN=1 it only says what it would do.
set -euo pipefail

pull=${1:?usage: comment.sh <pull request>}
repository=${GITHUB_REPOSITORY:?}
if ! [[ $pull =~ ^[0-9]+$ ]]; then
  echo "comment.sh: \"$pull\" is no number of a pull request" >&2
  exit 2
fi
marker=$(head -n 1 comment.md)

if [ "${DRY_RUN:-}" = 1 ]; then
  echo "would comment on $repository#$pull:"
  cat comment.md
  exit
fi

earlier=$(gh api --paginate "repos/$repository/issues/$pull/comments" \
  --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$marker\"))) | .id" | sed -n 1p)
if [ -n "$earlier" ]; then
  gh api --method PATCH "repos/$repository/issues/comments/$earlier" --field body=@comment.md --silent
else
  gh api --method POST "repos/$repository/issues/$pull/comments" --field body=@comment.md --silent
fi
