#!/usr/bin/env bash
# install.sh [folder]: installs what the program in the folder (default: here) needs, exactly as locked if there is a
# lock file. A folder without a program (before the pull request that brings it) needs nothing.
set -euo pipefail

cd "${1:-.}"
if [ ! -f package.json ]; then exit; fi
if [ -f package-lock.json ]; then npm ci; else npm install --no-package-lock; fi
