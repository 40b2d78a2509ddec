#!/usr/bin/env bash
# Start a tool under Slurm: [GPUS=4] tools/slurm_launch.sh PARTITION JOB_NAME TOOL.py [its arguments]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS and MASTER_PORT may be set in the environment. Without
# MASTER_PORT the tasks meet at a port that follows from the number of the job: jobs may share a node.
set -euo pipefail

if (($# < 3)); then
  echo "usage: $0 PARTITION JOB_NAME TOOL.py [its arguments]" >&2
  exit 2
fi
gpus=${GPUS:-4}
per_node=${GPUS_PER_NODE:-$((gpus < 4 ? gpus : 4))}

# shellcheck disable=SC2086  # SRUN_ARGS is a list of options
exec srun --partition="$1" --job-name="$2" \
  --gres="gpu:$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node" \
  --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
  "${PYTHON:-python}" -u "$(dirname "$0")/$3" "${@:4}"
