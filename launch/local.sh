#!/usr/bin/env bash
# Trains on all devices of this machine. Arguments are those of `python -m dafxvae.train`:
#
#   launch/local.sh --config configs/reverb.py --config.seed=1
#
# PYTHON: the interpreter. CPU_DEVICES: split the CPU into so many devices, to try data parallelism without accelerators.
set -euo pipefail

if [ -n "${CPU_DEVICES:-}" ]; then
    export XLA_FLAGS="${XLA_FLAGS:-} --xla_force_host_platform_device_count=$CPU_DEVICES"
    # XLA's threads must outnumber the devices; where nothing is said, dafxvae.train takes at least 16.
    if [ "$CPU_DEVICES" -ge 16 ]; then export NPROC="${NPROC:-$((2 * CPU_DEVICES))}"; fi
fi
exec "${PYTHON:-python}" -m dafxvae.train "$@"
