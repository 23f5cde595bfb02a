# The one place that names the LLVM version and how it is linked.

set(MOE_LLVM_VERSION 22.1)
if(NOT DEFINED MLIR_DIR AND EXISTS /usr/lib/llvm-22/lib/cmake/mlir)
  set(MLIR_DIR /usr/lib/llvm-22/lib/cmake/mlir)
endif()
find_package(MLIR ${MOE_LLVM_VERSION} REQUIRED CONFIG)

# The package exports static archives beside libMLIR.so; linking both would
# register every option and type twice.
set(MLIR_LINK_MLIR_DYLIB ON)
set(LLVM_EXTERNAL_LIT "${LLVM_TOOLS_BINARY_DIR}/lit" CACHE STRING "")

list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)

separate_arguments(MOE_LLVM_DEFINITIONS NATIVE_COMMAND "${LLVM_DEFINITIONS}")

# GCC looks for ld.lld, not for ld.lld-22, in the folders that -B names.
if(EXISTS "${LLVM_TOOLS_BINARY_DIR}/ld.lld")
  add_link_options(-fuse-ld=lld "-B${LLVM_TOOLS_BINARY_DIR}")
endif()
