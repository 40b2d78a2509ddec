#!/usr/bin/env bash
# Train on several GPUs: tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# Several machines: see tools/dist_launch.sh.
set -euo pipefail

if (($# < 2)); then
  echo "usage: $0 CONFIG GPUS [options of tools/train.py]" >&2
  exit 2
fi

exec "$(dirname "$0")/dist_launch.sh" "$2" train.py "$1" --launcher pytorch "${@:3}"
