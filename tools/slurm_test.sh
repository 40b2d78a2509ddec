#!/usr/bin/env bash
# Test under Slurm: [GPUS=4] tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
# What may be set in the environment: see tools/slurm_launch.sh.
set -euo pipefail

if (($# < 4)); then
  echo "usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]" >&2
  exit 2
fi

exec "$(dirname "$0")/slurm_launch.sh" "$1" "$2" test.py "$3" "$4" --launcher slurm "${@:5}"
