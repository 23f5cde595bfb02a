#!/usr/bin/env bash
# Formats our C and C++ files, or with --check only says which would change.
source "$(dirname "$0")/common.sh"

need "${format_packages[@]}"
if ! command -v clang-format-22 >/dev/null; then
  say "skipped: clang-format-22 is not installed"
  exit 77
fi
mapfile -t files < <(find include lib tools test examples -name '*.h' -o -name '*.c' -o -name '*.cpp')
case "${1:-}" in
--check) exec clang-format-22 --dry-run --Werror "${files[@]}" ;;
"") exec clang-format-22 -i "${files[@]}" ;;
*) die "usage: scripts/format.sh [--check]" ;;
esac
