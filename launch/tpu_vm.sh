#!/usr/bin/env bash
# Trains on a TPU slice: the same command on every worker, started from a machine that has gcloud:
#
#   TPU=my-slice ZONE=us-central2-b launch/tpu_vm.sh --config configs/reverb.py --workdir /mnt/shared/runs/reverb
#
# Every worker needs a checkout with dafxvae installed (launch/README.md), at FOLDER below its home (default: dafxvae),
# and the workdir on a disk that all of them share. PYTHON: the workers' interpreter, seen from FOLDER.
set -euo pipefail

: "${TPU:?name of the TPU}" "${ZONE:?zone of the TPU}"
# JAX finds the other workers of a slice itself: hence `auto`, and no numbers.
command=(env DAFXVAE_COORDINATOR=auto PYTHON="${PYTHON:-.venv/bin/python}" launch/local.sh "$@")
exec gcloud compute tpus tpu-vm ssh "$TPU" --zone "$ZONE" --worker=all \
    --command "cd ${FOLDER:-dafxvae} && $(printf '%q ' "${command[@]}")"
