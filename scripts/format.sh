#!/usr/bin/env bash
# Formats our C and C++ files, or with --check only says which would change.
source "$(dirname "$0")/common.sh"

want clang-format-22
skip_without clang-format-22
mapfile -t files < <(find include lib tools test examples benchmarks -name '*.h' -o -name '*.c' -o -name '*.cpp')
case "${1:-}" in
--check) exec clang-format-22 --dry-run --Werror "${files[@]}" ;;
"") exec clang-format-22 -i "${files[@]}" ;;
*) die "usage: scripts/format.sh [--check]" ;;
esac
