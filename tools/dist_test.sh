#!/usr/bin/env bash
# Test on several GPUs: tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
# On several machines, on each: NNODES=2 NODE_RANK=0 MASTER_ADDR=<first machine> tools/dist_test.sh ...
# They meet at PORT of the first machine (29500 unless set). A machine alone takes any free port.
set -euo pipefail

if (($# < 3)); then
  echo "usage: $0 CONFIG CHECKPOINT GPUS [options of tools/test.py]" >&2
  exit 2
fi
config=$1
checkpoint=$2
gpus=$3

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
  --nproc_per_node="$gpus" \
  "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher pytorch "${@:4}"
