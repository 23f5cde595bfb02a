#!/usr/bin/env bash
# clang-tidy over the rooms without MLIR, which takes minutes, over everything, or over some files:
#   scripts/tidy.sh [--all | FILE...]
source "$(dirname "$0")/common.sh"

need "${build_packages[@]}"
want clang-tidy-22
skip_without clang-tidy-22
# This build is only configured: its compile commands have no precompiled header of GCC's in them.
configure tidy
build tidy moe-headers

case "${1:-}" in
--all) folders=(lib tools test) ;;
-*) die "usage: scripts/tidy.sh [--all | FILE...]" ;;
*) folders=(lib/Import lib/Run lib/Runtime tools/moe-run.cpp test/Unit) ;;
esac
files=("$@")
if [[ "${1:---all}" == --all ]]; then
  # Fuzzers are in the build of another compiler.
  mapfile -t files < <(find "${folders[@]}" -name '*.cpp' ! -path 'test/Fuzz/*' | sort)
fi
printf '%s\0' "${files[@]}" |
  xargs -0 -n 1 -P "$(jobs)" clang-tidy-22 -p build/tidy --quiet
say "clang-tidy has nothing to say about ${#files[@]} files."
