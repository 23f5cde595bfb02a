# The text parser and verifiers of the moe dialect. Included by the list file
# of this folder where MOE_FUZZERS is on, which needs clang.
#
#   moe-dialect-fuzzer NEW_CORPUS test/Fuzz/corpus/dialect -dict=test/Fuzz/dialect.dict -max_len=4096
add_executable(moe-dialect-fuzzer "${CMAKE_CURRENT_LIST_DIR}/DialectFuzzer.cpp")
target_link_libraries(moe-dialect-fuzzer PRIVATE MoeDialect)
moe_use_mlir(moe-dialect-fuzzer)
add_dependencies(moe-dialect-fuzzer moe-headers)
target_compile_options(moe-dialect-fuzzer PRIVATE -fsanitize=fuzzer)
target_link_options(moe-dialect-fuzzer PRIVATE -fsanitize=fuzzer)

# What inputs reach is measured in our code, as upstream's is not instrumented;
# the precompiled header is not either, so it cannot be used.
target_compile_options(MoeDialect PRIVATE -fsanitize=fuzzer-no-link)
set_target_properties(MoeDialect PROPERTIES DISABLE_PRECOMPILE_HEADERS ON)

# Under CTest the seeds alone, which takes a second.
add_test(NAME fuzz-dialect-seeds
         COMMAND moe-dialect-fuzzer -runs=0 "${CMAKE_CURRENT_LIST_DIR}/corpus/dialect")
set_tests_properties(fuzz-dialect-seeds PROPERTIES LABELS "quick;fuzz")
