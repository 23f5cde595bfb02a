#!/usr/bin/env bash
# Formats our C and C++ files, or with --check only says which would change.
source "$(dirname "$0")/common.sh"

need "${format_packages[@]}"
mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.h' '*.c' '*.cpp')
case "${1:-}" in
--check) exec clang-format-22 --dry-run --Werror "${files[@]}" ;;
"") exec clang-format-22 -i "${files[@]}" ;;
*) die "usage: scripts/format.sh [--check]" ;;
esac
