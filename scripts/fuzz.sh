#!/usr/bin/env bash
# Builds the fuzzers and runs each for a while (60 seconds by default) on a copy of its corpus:
#   scripts/fuzz.sh [SECONDS]
source "$(dirname "$0")/common.sh"

seconds="${1:-60}"
[[ "$seconds" =~ ^[0-9]+$ ]] || die "usage: scripts/fuzz.sh [SECONDS]"
need "${build_packages[@]}" "${fuzz_packages[@]}"
configure fuzz
build fuzz fuzzers

corpora="$(mktemp -d)"
trap 'rm -rf "$corpora"' EXIT
mkdir -p build/fuzz/findings
failed=()
for fuzzer in build/fuzz/bin/*Fuzzer; do
  name="$(basename "$fuzzer")"
  # SpecFuzzer has test/Fuzz/corpus/spec and test/Fuzz/spec.dict.
  short="${name,,}"
  short="${short%fuzzer}"
  mkdir -p "$corpora/$name"
  options=(-max_total_time="$seconds" -rss_limit_mb=4096 -timeout=10 -print_final_stats=1)
  [[ -d "test/Fuzz/corpus/$short" ]] && cp -r "test/Fuzz/corpus/$short/." "$corpora/$name/"
  [[ -f "test/Fuzz/$short.dict" ]] && options+=(-dict="test/Fuzz/$short.dict")
  say "Fuzzing $name for $seconds s from $(find "$corpora/$name" -type f | wc -l) inputs"
  log="build/fuzz/$name.log"
  if ! "$fuzzer" "$corpora/$name" "${options[@]}" \
    -artifact_prefix="build/fuzz/findings/$name-" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    failed+=("$name")
  fi
  grep -E 'stat::(number_of_executed_units|average_exec_per_sec)' "$log" >&2 || true
done
((${#failed[@]} == 0)) || die "inputs that fail are in build/fuzz/findings: ${failed[*]}"
say "No fuzzer found anything."
