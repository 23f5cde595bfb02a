#!/usr/bin/env bash
# clang-tidy over everything, or over some files:
#   scripts/tidy.sh [FILE...]
source "$(dirname "$0")/common.sh"

need "${build_packages[@]}"
want clang-tidy-22
skip_without clang-tidy-22
# This build is only configured: its compile commands have no precompiled header of GCC's in them.
configure tidy
build tidy moe-headers

files=("$@")
# Fuzzers are in the build of another compiler.
((${#files[@]})) ||
  mapfile -t files < <(find lib tools test -name '*.cpp' ! -path 'test/Fuzz/*' | sort)
printf '%s\0' "${files[@]}" |
  xargs -0 -n 1 -P "$(jobs)" clang-tidy-22 -p build/tidy --quiet
say "clang-tidy has nothing to say about ${#files[@]} files."
