#!/usr/bin/env bash
# Compiles and runs N random specs on every target against the oracle:
#   scripts/sweep.sh [--sharded | --device=sim | --sizes-sim | --sharded-sim] [N] [first seed]
# With --sharded, specs on grids of ranks against the same without a grid; a seed
# is four cases. With --device=sim, on simulated GPUs: of two architectures, three
# times with other choices of the simulator; with --sizes-sim so are specs of every
# type of rows and format of weights, of which 36 seeds have each once.
source "$(dirname "$0")/common.sh"

script=sweep options=()
case "${1:-}" in
  --sharded) script=sharded_sweep; shift ;;
  --sharded-sim) script=test_gpu_ranks; shift ;;
  --device=sim) options=("$1"); shift ;;
  --sizes-sim) options=(--device=sim --sizes); shift ;;
esac
count="${1:-200}" seed="${2:-0}"
[[ "$count$seed" =~ ^[0-9]+$ ]] || die "usage: scripts/sweep.sh [--sharded | --device=sim | --sizes-sim | --sharded-sim] [N] [first seed]"
need "${build_packages[@]}"
configure release
build release
bin="$root/build/release/bin"
if [ "$script" = test_gpu_ranks ]; then
  MOE_MLIR_HOME="$root/build/release" exec "$python" "test/Integration/$script.py" "$count" "$seed"
fi
exec "$python" "test/Integration/$script.py" --moe-opt "$bin/moe-opt" --moe-run "$bin/moe-run" \
  "${options[@]}" --count "$count" --seed "$seed" --jobs "$(jobs)" --work "$root/build/sweep"
