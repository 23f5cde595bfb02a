#!/usr/bin/env bash
# Compiles and runs N random specs on every target against the oracle:
#   scripts/sweep.sh [--sharded] [N] [first seed]
# With --sharded, specs on grids of ranks against the same without a grid; a seed
# is four cases.
source "$(dirname "$0")/common.sh"

script=sweep
if [ "${1:-}" = --sharded ]; then
  script=sharded_sweep
  shift
fi
count="${1:-200}" seed="${2:-0}"
[[ "$count$seed" =~ ^[0-9]+$ ]] || die "usage: scripts/sweep.sh [--sharded] [N] [first seed]"
need "${build_packages[@]}"
configure release
build release
bin="$root/build/release/bin"
exec "$python" "test/Integration/$script.py" --moe-opt "$bin/moe-opt" --moe-run "$bin/moe-run" \
  --count "$count" --seed "$seed" --jobs "$(jobs)" --work "$root/build/sweep"
