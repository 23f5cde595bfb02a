#!/usr/bin/env bash
# clang-tidy over the compiler, the runtime and the tools, over the tests too, or over some files:
#   scripts/tidy.sh [--all | FILE...]
source "$(dirname "$0")/common.sh"

need "${build_packages[@]}"
want clang-22 clang-tidy-22
want "${mpi_packages[@]}"
skip_without clang++-22
skip_without clang-tidy-22
# Of this build there are only headers. One is precompiled by Clang, for the files that see MLIR.
configure tidy
build tidy moe-headers MoePch

folders=(lib tools)
if [[ "${1:-}" == --all ]]; then
  folders+=(test)
  shift
fi
# Fuzzers are in the build of another compiler.
if (($#)); then
  mapfile -t files < <(realpath --relative-to=. "$@")
else
  mapfile -t files < <(find "${folders[@]}" -name '*.cpp' ! -path 'test/Fuzz/*' | sort)
fi
if ! grep -q moe_engine_mpi build/tidy/compile_commands.json; then
  say "no MPI: lib/Runtime/Engine/MPI is left out"
  mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -v '^lib/Runtime/Engine/MPI/')
fi

# sources UNIT: what clang-tidy sees at once, as headers take longer than what is checked: a source,
# or those that CMake put into one.
sources() {
  case "$1" in
  */Unity/*) sed -n 's/^#include "\(.*\)"$/\1/p' "$1" ;;
  *) echo "$1" ;;
  esac
}

# What was clean and has not changed since, nor any header or rule, is clean.
check() {
  local mark="build/tidy/clean/$1" own
  mapfile -t own < <(sources "$1")
  if [[ -e $mark && -z $(find "$1" "${own[@]}" -newer "$mark" -print -quit) &&
    -z $(find .clang-tidy include lib test -newer "$mark" \
      \( -name '*.h' -o -name '*.td' -o -name .clang-tidy \) -print -quit) ]]; then
    return
  fi
  clang-tidy-22 -p build/tidy --quiet "$1" && mkdir -p "$(dirname "$mark")" && touch "$mark"
}
export -f check sources

declare -A unit_of
while read -r unit; do
  while read -r source; do unit_of["${source#"$root/"}"]="${unit#"$root/"}"; done < <(sources "$unit")
done < <(sed -n 's/^ *"file": "\(.*\.c[px][px]\)".*/\1/p' build/tidy/compile_commands.json)
units=()
for file in "${files[@]}"; do
  [[ -n "${unit_of[$file]:-}" ]] || die "no target of the build compiles $file"
  units+=("${unit_of[$file]}")
done
printf '%s\n' "${units[@]}" | sort -u | tr '\n' '\0' |
  xargs -0 -n 1 -P "$(jobs)" bash -c 'check "$1"' -
say "clang-tidy has nothing to say about ${#files[@]} files."
