#!/usr/bin/env bash
# Installs what is missing, builds, runs every test. Arguments go to CTest:
#   scripts/test.sh -L quick        only what takes seconds
#   scripts/test.sh --gpu           what runs on a GPU, with CUDA's sanitizers where they are; without
#                                   a GPU that is an error, as nothing was tested
source "$(dirname "$0")/common.sh"

if [[ "${1:-}" == --gpu ]]; then
  shift
  need "${build_packages[@]}"
  configure release
  build release moe-opt moe-run moe_runtime moe_sim
  export MOE_MLIR_HOME="$root/build/release"
  status=0
  "$python" test/Integration/test_device.py "$@" || status=$?
  ((status != 77)) ||
    die "there is no GPU to test on; scripts/test.sh runs the same kernels in the simulator"
  exit "$status"
fi

need "${build_packages[@]}" "${test_packages[@]}"
want "${lint_packages[@]}"
want "${mpi_packages[@]}"
configure release
build release
exec ctest --test-dir build/release --output-on-failure --parallel "$(jobs)" "$@"
