#!/usr/bin/env bash
# One process of several, as a scheduler starts it: local.sh with the number that Slurm or Kubernetes gave the process.
#
# Training that is asked to stop saves and exits with 0, which a scheduler takes for finished. Here it is 143 (the code
# of a process ended by SIGTERM), so that the job is started again; every other exit code stays as it is.
set -euo pipefail

export DAFXVAE_PROCESS_ID="${SLURM_PROCID:-${JOB_COMPLETION_INDEX:?start this from slurm.sbatch or gke.yaml}}"
"$(dirname "$0")/local.sh" "$@" &
child=$!
stopped=""
trap 'stopped=yes; kill -TERM "$child" 2> /dev/null || :' TERM
while true; do # a signal ends `wait` before the process ends
    code=0
    wait "$child" || code=$?
    kill -0 "$child" 2> /dev/null || break
done
if [ -n "$stopped" ] && [ "$code" = 0 ]; then code=143; fi
exit "$code"
