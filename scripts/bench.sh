#!/usr/bin/env bash
# Measures compiled layers beside other systems and what the machine can do:
#   scripts/bench.sh cpu [--help] [OPTION...]
# With `--systems ours` it starts at once. For the others, MOE_BENCH_PYTHON names a Python that has
# the packages below; without it, they are downloaded into build/bench-venv, some 5 GB.
source "$(dirname "$0")/common.sh"

packages=(numpy==2.4.6 torch==2.15.0 transformers==5.23.0 "jax[cpu]==0.10.2" matplotlib==3.11.2)
built_packages=(ggml-python==0.0.45) # what llama.cpp computes with, compiled for this CPU
[[ "${1:-}" == cpu ]] || die "found '${1:-}', expected cpu: scripts/bench.sh cpu [OPTION...]"
shift

need "${build_packages[@]}" python3-venv
configure release
build release moe-opt moe_runtime

bench_python="${MOE_BENCH_PYTHON:-}"
if [[ " $* " == *" --systems ours "* || " $* " == *" --systems=ours "* ]]; then
  bench_python="${bench_python:-$python}"
elif [[ -z "$bench_python" ]]; then
  bench_python="$root/build/bench-venv/bin/python"
  if ! "$bench_python" -c "import torch, transformers, jax, matplotlib" 2>/dev/null; then
    say "Installing ${packages[*]} into build/bench-venv"
    quietly bench-venv "$python" -m venv build/bench-venv
    quietly bench-pip "$bench_python" -m pip install "${packages[@]}"
    (quietly bench-ggml "$bench_python" -m pip install "${built_packages[@]}") ||
      say "Going on without."
  fi
fi

export MOE_MLIR_HOME="$root/build/release" PYTHONPATH="$root/python:$root"
exec "$bench_python" -m benchmarks.cpu "$@"
