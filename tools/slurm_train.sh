#!/usr/bin/env bash
# Train under Slurm: [GPUS=4] tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
# What may be set in the environment: see tools/slurm_launch.sh.
set -euo pipefail

if (($# < 3)); then
  echo "usage: $0 PARTITION JOB_NAME CONFIG [options of tools/train.py]" >&2
  exit 2
fi

exec "$(dirname "$0")/slurm_launch.sh" "$1" "$2" train.py "$3" --launcher slurm "${@:4}"
