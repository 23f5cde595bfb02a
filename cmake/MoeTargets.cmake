# Thin wrappers, so that include paths and link policy are written once.

include_directories("${PROJECT_SOURCE_DIR}/include" "${PROJECT_BINARY_DIR}/include")

# Where sources are compiled several at a time, as for clang-tidy.
define_property(TARGET PROPERTY UNITY_BUILD_CODE_BEFORE_INCLUDE
  INITIALIZE_FROM_VARIABLE MOE_UNITY_BUILD_CODE_BEFORE_INCLUDE)

# moe_library(NAME [MLIR] SOURCES... [LINK libs...])
#
# A static library of the compiler. MLIR ones see the LLVM headers, share one
# precompiled header and link libMLIR.so and libLLVM.so, nothing static.
function(moe_library name)
  cmake_parse_arguments(ARG "MLIR" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  if(ARG_MLIR)
    moe_use_mlir(${name})
    add_dependencies(${name} moe-headers)
    target_precompile_headers(${name} REUSE_FROM MoePch)
  endif()
endfunction()

function(moe_use_mlir name)
  target_include_directories(${name} SYSTEM PUBLIC ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
  target_compile_definitions(${name} PUBLIC ${MOE_LLVM_DEFINITIONS})
  target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>")
  # The identity of a trait is the address of a template's static. Hidden, it
  # would differ from the one in libMLIR.so, which would then see our
  # terminators as none, and we its constants.
  set_target_properties(${name} PROPERTIES
    CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF)
  target_link_libraries(${name} PUBLIC MLIR LLVM)
endfunction()

# moe_tool(NAME SOURCES... LINK libs...): an executable in bin/.
function(moe_tool name)
  cmake_parse_arguments(ARG "MLIR" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  if(ARG_MLIR)
    moe_use_mlir(${name})
    add_dependencies(${name} moe-headers)
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()
