#!/usr/bin/env bash
# Builds the compiler, compiles a spec, runs the result and checks it against the reference:
#   scripts/quickstart.sh [spec.json]
source "$(dirname "$0")/common.sh"

spec="${1:-examples/specs/olmoe.json}"
[[ -f "$spec" ]] || spec="$OLDPWD/$spec"
[[ -f "$spec" ]] || die "no such file: ${1:-$spec}"
need "${build_packages[@]}"
configure release
build release moe-opt moe-run
bin=build/release/bin
out="build/quickstart/$(basename "$spec" .json)"
mkdir -p "$out"

say "Compiling $spec"
begin="$(date +%s.%N)"
"$bin/moe-opt" "$spec" --emit=package --target=cpu --cpu=native -o "$out/cpu"
compile_seconds="$("$python" -c "print($(date +%s.%N) - $begin)")"
"$bin/moe-opt" "$spec" --emit=package --target=reference -o "$out/reference"

say "Running it"
# The reference is plain loops in f64: few tokens for the comparison, many for the time.
"$bin/moe-run" "$out/cpu" --tokens 8 --random 1 --against "$out/reference" --json >"$out/error.json"
"$bin/moe-run" "$out/cpu" --tokens 512 --random 1 --bench --json >"$out/bench.json"
"$python" scripts/report.py "$spec" "$compile_seconds" "$out"
