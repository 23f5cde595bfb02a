#!/usr/bin/env bash
# Measures compiled layers beside other systems and what the machine can do:
#   scripts/bench.sh cpu [--help] [OPTION...]
#   scripts/bench.sh gpu [--help] [OPTION...]
# With `--systems ours` it starts at once. For the others, MOE_BENCH_PYTHON names a Python that has
# the packages below; without it, they are downloaded into build/bench-venv, some 5 GB.
# On a GPU, --packages DIR needs no compiler: what --build-only DIR has made elsewhere is measured.
source "$(dirname "$0")/common.sh"

packages=(numpy==2.4.6 torch==2.15.0 transformers==5.23.0 "jax[cpu]==0.10.2" matplotlib==3.11.2)
built_packages=(ggml-python==0.0.45) # what llama.cpp computes with, compiled for this CPU
kind="${1:-}"
[[ "$kind" == cpu || "$kind" == gpu ]] ||
  die "found '$kind', expected cpu or gpu: scripts/bench.sh cpu [OPTION...]"
shift

if [[ "$kind" == gpu ]]; then
  home="$root/build/release" bench_python="${MOE_BENCH_PYTHON:-}" carried='' before=''
  for argument in "$@"; do
    [[ "$before" != --packages ]] || carried="$argument"
    before="$argument"
    case "$argument" in
    --packages=*) carried="${argument#*=}" ;;
    --dry-run | --build-only | --build-only=* | --help | -h) bench_python="$python" ;;
    esac
  done
  if [[ -n "$carried" ]]; then
    home="$(cd "$OLDPWD" && realpath "$carried")"
    [[ -d "$home/lib" ]] || die "$carried has no lib/; expected what --build-only has made"
  else
    need "${build_packages[@]}"
    configure release
    build release moe-opt moe_runtime
  fi
  export MOE_MLIR_HOME="$home" PYTHONPATH="$root/python:$root"
  cd "$OLDPWD" # folders are named from there
  exec "${bench_python:-python3}" -m benchmarks.gpu "$@"
fi

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
