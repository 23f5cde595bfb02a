#!/usr/bin/env bash
# Tests under the address and undefined behaviour sanitizers, and under the thread sanitizer:
#   scripts/sanitize.sh [asan|tsan]...
# asan: unit tests, the lit suites, every example spec compiled for a CPU and for GPUs, one package run,
# ranks and averaging.
# tsan: unit tests, one package run, ranks and averaging; the compiler has no threads of its own.
# Generated code is not instrumented, nor is MPI, which is left out.
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
export TSAN_OPTIONS="halt_on_error=1:suppressions=$root/scripts/tsan.supp:${TSAN_OPTIONS:-}"

# test_in PRESET TESTS: those whose names match.
test_in() { ctest --test-dir "build/$1" -R "$2" --output-on-failure --parallel "$(jobs)"; }

# compile PRESET SPEC TARGET...: the package is in build/sanitize.
compile() {
  "build/$1/bin/moe-opt" "$2" --emit=package --target="$3" "${@:4}" \
    -o "build/sanitize/$(basename "$2" .json)-$3"
}

run_tiny() {
  say "Running a package ($1)"
  "build/$1/bin/moe-run" build/sanitize/tiny-cpu --tokens 64 --random 1 --threads 2 >&2
}

# What runs packages of several ranks, on threads and on the stand-in for NCCL.
rank_targets=(moe_runtime moe_engine_nccl fake_nccl package-ranks moe-run)

# home PRESET: a folder with the compiler of `release`, which is not under test, and the runtime of PRESET.
home() {
  local home="$root/build/sanitize/$1" part
  mkdir -p "$home/bin"
  ln -sfn "$root/build/release/bin/moe-opt" "$home/bin/moe-opt"
  for part in bin/moe-run lib test; do ln -sfn "$root/build/$1/$part" "$home/$part"; done
  echo "$home"
}

# on_ranks PRESET LIBRARY: Python, which loads the runtime, needs the sanitizer's library before it.
on_ranks() {
  local home preload
  home="$(home "$1")"
  preload="$("${CXX:-g++}" -print-file-name="$2")"
  say "Running ranks ($1)"
  (
    cd test/Integration
    export MOE_MLIR_HOME="$home" PYTHONPATH="$root/python"
    export ASAN_OPTIONS="detect_leaks=0:$ASAN_OPTIONS"
    "$python" test_ranks.py Engines.test_nccl Engines.test_threads Engines.test_threads_of_an_application
    "$python" test_rank_failures.py Threads Nccl
    export LD_PRELOAD="$preload"
    "$python" test_average_group.py
    "$python" test_average_engines.py Engines.test_nccl_in_one_process
    "$python" test_average_faults.py Threads
  )
}

for preset in "${presets[@]}"; do
  configure "$preset"
  case "$preset" in
  asan)
    build asan
    test_in asan '^(unit|lit)-'
    for spec in examples/specs/*.json; do
      say "Compiling $spec (asan)"
      compile asan "$spec" cpu
      compile asan "$spec" cuda --gpu-arch=compute_80,compute_90a
    done
    run_tiny asan
    configure release
    build release moe-opt
    on_ranks asan libasan.so
    ;;
  tsan)
    build tsan EngineTests ImportTests RuntimeTests CollectiveTests ScheduleTests SimTests "${rank_targets[@]}"
    test_in tsan '^unit-(Engine|Import|Runtime|Collective|Schedule|Sim)'
    configure release
    build release moe-opt
    compile release examples/specs/tiny.json cpu
    run_tiny tsan
    on_ranks tsan libtsan.so
    ;;
  *) die "usage: scripts/sanitize.sh [asan|tsan]..." ;;
  esac
done
