#!/usr/bin/env bash
# One run on a machine with CUDA, within ten minutes: the tests marked gpu, the trie's mask, each mode on models of 1B and 8B shapes.
# OUT: a folder for the results. PYTHON: an interpreter that has the library, torch, transformers, pytest and hypothesis.
# SMOKE=--smoke: tiny on the CPU, to see that it runs.
set -uo pipefail
cd "$(dirname "$0")/.."
OUT=${OUT:-benchmarks/results} PYTHON=${PYTHON:-python3} SMOKE=${SMOKE:-}
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
mkdir -p "$OUT"
status=0
run() { # SECONDS ARGUMENTS...: what has run out of its time writes what it has (SIGTERM)
  local seconds=$1
  shift
  timeout -k 10 "$seconds" "$PYTHON" "$@" 2>&1 | tee -a "$OUT/gpu.log" || status=1
}
run 90 -m pytest -q -p no:cacheprovider tests/engines/test_devices.py
run 60 -m benchmarks gpu $SMOKE --parts mask --label mask --json "$OUT/gpu-mask.json"
if [ -n "$SMOKE" ]; then
  run 120 -m benchmarks gpu $SMOKE --parts models --json "$OUT/gpu-tiny.json"
else
  run 150 -m benchmarks gpu --parts models --model 1B --label 1B --json "$OUT/gpu-1B.json"
  run 260 -m benchmarks gpu --parts models --model 8B --label 8B --json "$OUT/gpu-8B.json"
fi
exit $status
