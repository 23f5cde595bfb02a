#!/usr/bin/env bash
# Installs what is missing, builds, runs every test. Arguments go to CTest:
#   scripts/test.sh -L quick        only what takes seconds
source "$(dirname "$0")/common.sh"

need "${build_packages[@]}" "${test_packages[@]}"
want "${lint_packages[@]}"
want "${mpi_packages[@]}"
configure release
build release
exec ctest --test-dir build/release --output-on-failure --parallel "$(jobs)" "$@"
