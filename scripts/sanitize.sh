#!/usr/bin/env bash
# The unit tests under the address, undefined behaviour and thread sanitizers:
#   scripts/sanitize.sh [asan|tsan]...
source "$(dirname "$0")/common.sh"

presets=("$@")
((${#presets[@]})) || presets=(asan tsan)
need "${build_packages[@]}"
export ASAN_OPTIONS="strict_string_checks=1:detect_stack_use_after_return=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:${UBSAN_OPTIONS:-}"
export TSAN_OPTIONS="halt_on_error=1:${TSAN_OPTIONS:-}"
for preset in "${presets[@]}"; do
  case "$preset" in
  asan | tsan) ;;
  *) die "usage: scripts/sanitize.sh [asan|tsan]..." ;;
  esac
  configure "$preset"
  build "$preset"
  ctest --test-dir "build/$preset" -L unit --output-on-failure --parallel "$(jobs)"
done
