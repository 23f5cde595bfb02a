#!/usr/bin/env bash
# Builds the fuzzers and runs each for a while (60 seconds by default) on a copy of its corpus:
#   scripts/fuzz.sh [SECONDS]
source "$(dirname "$0")/common.sh"

seconds="${1:-60}"
[[ "$seconds" =~ ^[0-9]+$ ]] || die "usage: scripts/fuzz.sh [SECONDS]"
need "${build_packages[@]}" "${fuzz_packages[@]}"
configure fuzz
build fuzz

corpora="$(mktemp -d)"
trap 'rm -rf "$corpora"' EXIT
found=0 failed=()
for fuzzer in build/fuzz/bin/*[-_]fuzz build/fuzz/bin/*[-_]fuzzer; do
  [[ -x "$fuzzer" ]] || continue
  found=1
  name="$(basename "$fuzzer")"
  short="${name%[-_]fuzz*}"
  mkdir -p "$corpora/$name" "build/fuzz/findings"
  while IFS= read -r folder; do
    cp -r "$folder/." "$corpora/$name/"
  done < <(find test -type d \( -ipath "*corpus/$short" -o -ipath "*corpus/$name" \
    -o -ipath "*$short/corpus" \))
  say "Fuzzing $name for $seconds s from $(find "$corpora/$name" -type f | wc -l) inputs"
  if ! "$fuzzer" "$corpora/$name" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 \
    -print_final_stats=1 -artifact_prefix="build/fuzz/findings/$name-" >"build/fuzz/$name.log" 2>&1; then
    tail -n 40 "build/fuzz/$name.log" >&2
    failed+=("$name")
  fi
  grep -E 'stat::number_of_executed_units|stat::average_exec_per_sec' "build/fuzz/$name.log" >&2 || true
done
((found)) || die "the build made no fuzzer"
((${#failed[@]} == 0)) || die "inputs that fail are in build/fuzz/findings: ${failed[*]}"
say "No fuzzer found anything."
