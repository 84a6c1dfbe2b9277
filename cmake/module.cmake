# Every module and test shares one precompiled header with the libraries that nearly every file of
# ours includes: parsing them again was four fifths of the compile time (nlohmann/json alone 3 s of
# 4 s on the reference machine). A source still includes what it uses.
function(cocoon_share_precompiled_header target)
  if(NOT TARGET cocoon_precompiled)
    if(NOT EXISTS ${CMAKE_BINARY_DIR}/precompiled.cpp)  # a new time stamp would rebuild everything
      file(WRITE ${CMAKE_BINARY_DIR}/precompiled.cpp "")
    endif()
    add_library(cocoon_precompiled OBJECT ${CMAKE_BINARY_DIR}/precompiled.cpp)
    target_link_libraries(cocoon_precompiled PRIVATE
      cocoon_fmt tl::expected nlohmann_json::nlohmann_json cocoon_options)
    target_compile_options(cocoon_precompiled PUBLIC
      $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
    target_precompile_headers(cocoon_precompiled PRIVATE
      <nlohmann/json.hpp> <fmt/format.h> <tl/expected.hpp> <filesystem> <functional> <optional>
      <string> <string_view> <vector>)
  endif()
  target_link_libraries(${target} PRIVATE cocoon_fmt tl::expected nlohmann_json::nlohmann_json)
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL EXECUTABLE)
    # A program is compiled with -fPIE, but the shared precompiled header was with -fPIC.
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
  target_precompile_headers(${target} REUSE_FROM cocoon_precompiled)
endfunction()

# cocoon_module(name SOURCES ... [DEPS ...] [PRIVATE_DEPS ...])
# Declares one layer or sibling of src/ as a static library `cocoon_<name>` with the include root
# src/. Which module may use which is checked by scripts/check_layers.
function(cocoon_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(cocoon_${name} STATIC ${arg_SOURCES})
  target_include_directories(cocoon_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(cocoon_${name} PUBLIC ${arg_DEPS} PRIVATE ${arg_PRIVATE_DEPS} cocoon_options)
  cocoon_share_precompiled_header(cocoon_${name})
endfunction()

# cocoon_test(name LABEL unit|integration SOURCES ... DEPS ...)
# One GoogleTest program; each of its cases is a ctest test of that label.
function(cocoon_test name)
  cmake_parse_arguments(arg "" "LABEL" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_DEPS} GTest::gtest_main cocoon_options)
  # A case of a table names what it is about; the rest of a struct is its defaults.
  target_compile_options(${name} PRIVATE -Wno-missing-field-initializers)
  # GCC 12 sees writes past the end of std::string's inline buffer where there are none (its bug
  # 105329), when it inlines what tests put together.
  target_compile_options(${name} PRIVATE
    "$<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-array-bounds;-Wno-restrict;-Wno-stringop-overflow>")
  cocoon_share_precompiled_header(${name})
  gtest_discover_tests(${name} NO_PRETTY_VALUES
    PROPERTIES LABELS ${arg_LABEL} TIMEOUT 120 DISCOVERY_TIMEOUT 60)
endfunction()
