#!/usr/bin/env bash
# Makes the golden files of families anew from transformers, compares them and fresh
# ones of other seeds with what moe-opt makes, and writes docs/Families.md:
#   scripts/oracle.sh [--seeds N] [NAME...]
# It takes minutes. MOE_ORACLE_PYTHON names a Python that has the packages below; without it, they
# are downloaded into build/oracle, some 5 GB.
source "$(dirname "$0")/common.sh"

packages=(torch==2.15.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6 scipy==1.17.1)
seeds=2 names=()
while (($#)); do
  case "$1" in
  --seeds)
    [[ "${2:-}" =~ ^[0-9]+$ ]] || die "--seeds: found '${2:-}', expected a number"
    seeds="$2"
    shift
    ;;
  -*) die "usage: scripts/oracle.sh [--seeds N] [NAME...]" ;;
  *) names+=("$1") ;;
  esac
  shift
done

need "${build_packages[@]}" python3-venv
configure release
build release moe-opt moe_runtime

oracle_python="${MOE_ORACLE_PYTHON:-}"
if [[ -z "$oracle_python" ]]; then
  oracle_python="$root/build/oracle/bin/python"
  if ! "$oracle_python" -c "import torch, transformers, scipy" 2>/dev/null; then
    say "Installing ${packages[*]} into build/oracle"
    quietly oracle-venv "$python" -m venv build/oracle
    quietly oracle-pip "$oracle_python" -m pip install "${packages[@]}"
  fi
fi
"$oracle_python" -c "import torch, transformers, safetensors, scipy" 2>/dev/null ||
  die "$oracle_python lacks some of ${packages[*]}"

export MOE_MLIR_HOME="$root/build/release" PYTHONPATH="$root/python"
families=test/Oracle/families
"$oracle_python" "$families/generate.py" "${names[@]}"
if ! git diff --quiet -- test/Oracle/golden; then
  say "The golden files changed:"
  git --no-pager diff --stat -- test/Oracle/golden >&2
fi
table=()
((${#names[@]})) || table=(--table docs/Families.md)
exec "$oracle_python" "$families/live.py" --seeds "$seeds" --jobs "$(jobs)" "${table[@]}" "${names[@]}"
