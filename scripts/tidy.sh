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

# find_in FOLDER...: fuzzers are left out, as they are in the build of another compiler.
find_in() { find "$@" -name '*.cpp' ! -path 'test/Fuzz/*' | sort; }
case "${1:-}" in
"") mapfile -t files < <(find_in lib/Import lib/Run lib/Runtime tools/moe-run.cpp test/Unit/{Import,Runtime}) ;;
--all) mapfile -t files < <(find_in lib tools test) ;;
-*) die "usage: scripts/tidy.sh [--all | FILE...]" ;;
*) files=("$@") ;;
esac
printf '%s\0' "${files[@]}" |
  xargs -0 -n 1 -P "$(jobs)" clang-tidy-22 -p build/tidy --quiet
say "clang-tidy has nothing to say about ${#files[@]} files."
