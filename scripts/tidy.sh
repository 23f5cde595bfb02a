#!/usr/bin/env bash
# clang-tidy over the files that differ from the main branch, or over all:
#   scripts/tidy.sh [--all | FILE...]
source "$(dirname "$0")/common.sh"

need "${build_packages[@]}" "${tidy_packages[@]}"
configure release
# Generated headers must be there; they are the quick part of a build.
quietly tidy-headers cmake --build --preset release --parallel "$(jobs)" --target moe-headers

all() { git ls-files --cached --others --exclude-standard 'lib/*.cpp' 'tools/*.cpp' 'test/*.cpp'; }
changed() {
  local base
  base="$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null ||
    echo HEAD)"
  { git diff --name-only --diff-filter=d "$base" && git ls-files --others --exclude-standard; } |
    sort -u | grep -Fxf <(all) || true
}
case "${1:-}" in
--all) mapfile -t files < <(all) ;;
"") mapfile -t files < <(changed) ;;
*) files=("$@") ;;
esac
((${#files[@]})) || {
  say "Nothing differs from the main branch."
  exit 0
}
# The build is GCC's, so its precompiled header means nothing here.
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(jobs)" clang-tidy-22 -p build/release --quiet \
  --extra-arg=-Wno-ignored-gch --extra-arg=-Wno-unknown-warning-option
say "clang-tidy has nothing to say about ${#files[@]} files."
