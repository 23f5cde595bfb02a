#!/bin/sh
# Writes the reference of operations and passes from their TableGen files, or
# with --check says whether what is written is what would be.
#
#   LLVM_PREFIX=/usr/lib/llvm-22 scripts/gen-docs.sh [--check]
set -eu

prefix=${LLVM_PREFIX:-/usr/lib/llvm-22}
root=$(cd "$(dirname "$0")/.." && pwd)
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

generate() { # GENERATOR INPUT OUTPUT [OPTIONS...]
  generator=$1 input=$2 output=$3
  shift 3
  mkdir -p "$new/$(dirname "$output")"
  # The generator leaves blanks at line ends and empty lines at the end.
  "$prefix/bin/mlir-tblgen" "$generator" "$@" -I "$root/include" \
    -I "$prefix/include" "$root/include/moe/$input" |
    sed -e 's/[[:space:]]*$//' | cat -s >"$new/$output"
}

generate -gen-dialect-doc Dialect/MoE/MoEOps.td docs/Dialects/MoE.md -dialect=moe
generate -gen-dialect-doc Dialect/Coll/CollOps.td docs/Dialects/Coll.md -dialect=coll
for part in Kernels Sharding Target/GPU Sim; do
  generate -gen-pass-doc "$part/Passes.td" docs/Part.md
  cat "$new/docs/Part.md" >>"$new/docs/Passes.md"
done
rm "$new/docs/Part.md"

if [ "${1:-}" = --check ]; then
  cd "$root"
  for file in docs/Dialects/MoE.md docs/Dialects/Coll.md docs/Passes.md; do
    diff -u "$file" "$new/$file" || {
      echo "$file is not what scripts/gen-docs.sh writes" >&2
      exit 1
    }
  done
else
  mkdir -p "$root/docs/Dialects"
  cp "$new"/docs/Dialects/*.md "$root/docs/Dialects/"
  cp "$new/docs/Passes.md" "$root/docs/Passes.md"
fi
