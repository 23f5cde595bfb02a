# Fuzzers of what the runtime reads. To run one:
#   bin/ManifestFuzzer test/Fuzz/corpus/manifest -max_total_time=60
if(MOE_FUZZERS)
  find_package(nlohmann_json 3.11 REQUIRED)
  # With coverage in the readers themselves, so not from the library.
  set(runtime "${CMAKE_CURRENT_LIST_DIR}/../../lib/Runtime")
  foreach(name Safetensors Manifest)
    add_executable(${name}Fuzzer
      "${CMAKE_CURRENT_LIST_DIR}/${name}Fuzzer.cpp"
      "${runtime}/DType.cpp"
      "${runtime}/File.cpp"
      "${runtime}/Json.cpp"
      "${runtime}/JsonNode.cpp"
      "${runtime}/Manifest.cpp"
      "${runtime}/ManifestFunctions.cpp"
      "${runtime}/SafetensorsHeader.cpp"
      "${runtime}/Status.cpp")
    target_include_directories(${name}Fuzzer PRIVATE "${runtime}/..")
    target_compile_options(${name}Fuzzer PRIVATE -fsanitize=fuzzer)
    target_link_options(${name}Fuzzer PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${name}Fuzzer PRIVATE nlohmann_json::nlohmann_json)
  endforeach()
endif()
