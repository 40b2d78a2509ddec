#!/usr/bin/env bash
# Start a tool in several processes: tools/dist_launch.sh PROCESSES TOOL.py [its arguments]
# On several machines, on each: NNODES=2 NODE_RANK=0 MASTER_ADDR=<first machine> tools/dist_launch.sh ...
# They meet at PORT of the first machine (29500 unless set). A machine alone takes any free port.
set -euo pipefail

if (($# < 2)); then
  echo "usage: $0 PROCESSES TOOL.py [its arguments]" >&2
  exit 2
fi

if [[ ${NNODES:-1} == 1 && -z ${PORT:-} ]]; then
  # Any free port, so that several jobs may run side by side.
  meeting=(--standalone --local-addr=127.0.0.1)
else
  meeting=(
    --nnodes="${NNODES:-1}"
    --node_rank="${NODE_RANK:-0}"
    --master_addr="${MASTER_ADDR:-127.0.0.1}"
    --master_port="${PORT:-29500}"
  )
fi

exec "${PYTHON:-python}" -m torch.distributed.run "${meeting[@]}" \
  --nproc_per_node="$1" "$(dirname "$0")/$2" "${@:3}"
