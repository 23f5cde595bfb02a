#!/usr/bin/env bash
# Tests under the address and undefined behaviour sanitizers, and under the thread sanitizer:
#   scripts/sanitize.sh [asan|tsan]...
# asan: unit tests, the lit suites, every example spec compiled, one package run.
# tsan: unit tests, one package run; the compiler has no threads of its own.
source "$(dirname "$0")/common.sh"

presets=("$@")
((${#presets[@]})) || presets=(asan tsan)
need "${build_packages[@]}"
# libMLIR is not instrumented: it neither unpoisons what our inlined copy of its arena allocator
# poisoned, nor marks the ends of the vectors that it shares with us.
uninstrumented="detect_container_overflow=0:allow_user_poisoning=0"
strict="strict_string_checks=1:detect_stack_use_after_return=1"
export ASAN_OPTIONS="$uninstrumented:$strict:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:${UBSAN_OPTIONS:-}"
export TSAN_OPTIONS="halt_on_error=1:${TSAN_OPTIONS:-}"

# test_in PRESET TESTS: those whose names match.
test_in() { ctest --test-dir "build/$1" -R "$2" --output-on-failure --parallel "$(jobs)"; }

# compile PRESET SPEC: the package is in build/sanitize.
compile() {
  "build/$1/bin/moe-opt" "$2" --emit=package --target=cpu -o "build/sanitize/$(basename "$2" .json)"
}

run_tiny() {
  say "Running a package ($1)"
  "build/$1/bin/moe-run" build/sanitize/tiny --tokens 64 --random 1 --threads 2 >&2
}

for preset in "${presets[@]}"; do
  configure "$preset"
  case "$preset" in
  asan)
    build asan
    test_in asan '^(unit|lit)-'
    for spec in examples/specs/*.json; do
      say "Compiling $spec (asan)"
      compile asan "$spec"
    done
    run_tiny asan
    ;;
  tsan)
    build tsan EngineTests ImportTests RuntimeTests CollectiveTests moe-run
    test_in tsan '^unit-(Engine|Import|Runtime|Collective)'
    configure release
    build release moe-opt
    compile release examples/specs/tiny.json
    run_tiny tsan
    ;;
  *) die "usage: scripts/sanitize.sh [asan|tsan]..." ;;
  esac
done
