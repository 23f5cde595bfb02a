#!/usr/bin/env bash
# Compiles and runs N random specs on every target against the oracle:
#   scripts/sweep.sh [N] [first seed]
source "$(dirname "$0")/common.sh"

count="${1:-200}" seed="${2:-0}"
[[ "$count$seed" =~ ^[0-9]+$ ]] || die "usage: scripts/sweep.sh [N] [first seed]"
need "${build_packages[@]}"
configure release
build release
bin="$root/build/release/bin"
exec "$python" test/Integration/sweep.py --moe-opt "$bin/moe-opt" --moe-run "$bin/moe-run" \
  --count "$count" --seed "$seed" --jobs "$(jobs)" --work "$root/build/sweep"
