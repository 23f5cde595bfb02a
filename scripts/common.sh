# What the scripts share: where things are, which packages are needed, how to
# be quiet about what works. Sourced, not run.
# shellcheck shell=bash disable=SC2034

set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"

# Everything the project needs, in one place. LLVM's version is in cmake/MoeLLVM.cmake.
build_packages=(
  llvm-22-dev libmlir-22-dev mlir-22-tools llvm-22-tools lld-22
  g++ cmake ninja-build ccache pkg-config
  nlohmann-json3-dev libgtest-dev
  python3 python3-numpy
)
# For tests that build applications and install the Python package.
test_packages=(make python3-venv python3-setuptools python3-wheel)
# For the engine 'mpi'; all else is built without it.
mpi_packages=(openmpi-bin libopenmpi-dev)
fuzz_packages=(clang-22 libclang-rt-22-dev)
lint_packages=(clang-22 clang-format-22 clang-tidy-22)

# The system's Python has the packaged numpy; another one may shadow it on the PATH.
python="${PYTHON:-/usr/bin/python3}"
[[ -x "$python" ]] || python="$(command -v python3 || echo python3)"

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# jobs: as many as there are processors and 1.5 GB pieces of memory.
jobs() {
  local processors memory
  processors="$(nproc 2>/dev/null || echo 2)"
  memory="$(awk '/MemAvailable/ {print int($2 / 1572864)}' /proc/meminfo 2>/dev/null || echo 2)"
  if ((memory < 1)); then memory=1; fi
  echo "$((processors < memory ? processors : memory))"
}

# quietly NAME COMMAND...: runs it with its output in build/NAME.log, shown if it fails.
quietly() {
  local log="$root/build/$1.log"
  shift
  mkdir -p "$root/build"
  if ! "$@" >"$log" 2>&1; then
    grep -nE 'error|FAILED|fatal' "$log" | head -20 >&2 || true
    say "--- the last lines of $log"
    tail -n 40 "$log" >&2
    die "failed: $*"
  fi
}

is_installed() {
  [[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

# need PACKAGE...: installs what is missing. MOE_NO_INSTALL=1 leaves the system alone.
need() {
  [[ -z "${MOE_NO_INSTALL:-}" ]] || return 0
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "This is not a Debian system, so nothing is installed. The build needs the equivalents of:"
    say "  $*"
    say "Set MOE_NO_INSTALL=1 to skip this message."
    return 0
  fi
  local missing=() package as_root=()
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "please install, as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "Installing ${missing[*]}"
  local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "${missing[@]}")
  mkdir -p "$root/build"
  local log="$root/build/install.log"
  if ! "${install[@]}" >"$log" 2>&1; then
    "${as_root[@]}" apt-get update >>"$log" 2>&1 || true
    "${install[@]}" >>"$log" 2>&1 || explain_missing "$log" "${missing[@]}"
  fi
}

# want PACKAGE...: the same, for what we can do without.
want() { (need "$@") || say "Going on without."; }

# skip_without PROGRAM: ends a script whose program is missing in CTest's way of skipping.
skip_without() {
  command -v "$1" >/dev/null && return
  say "skipped: $1 is not installed"
  exit 77
}

# explain_missing LOG PACKAGE...: one message that says what to do, and the end.
explain_missing() {
  local log="$1" package unknown=()
  shift
  for package in "$@"; do
    apt-cache show "$package" >/dev/null 2>&1 || unknown+=("$package")
  done
  if ((${#unknown[@]})); then
    say "apt does not know: ${unknown[*]}"
    say "They are in Debian 12 with its security updates; elsewhere LLVM 22.1 comes from your"
    say "distribution or from the LLVM project. Install them and run this again with MOE_NO_INSTALL=1."
  else
    say "apt could not install: $*"
    say "Is this machine online? What apt said is in $log:"
    tail -n 5 "$log" >&2
  fi
  exit 1
}

# configure PRESET [ARGUMENT...]
configure() {
  local preset="$1"
  shift
  quietly "configure-$preset" cmake --preset "$preset" -DPython3_EXECUTABLE="$python" "$@"
}

# build PRESET [TARGET...]
build() {
  local preset="$1"
  shift
  say "Building ($preset)"
  quietly "build-$preset" cmake --build --preset "$preset" --parallel "$(jobs)" ${1:+--target "$@"}
}
