# Warnings, hardening and sanitizers. Every target of ours links cocoon_options.
add_library(cocoon_options INTERFACE)
target_compile_options(cocoon_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wundef -Wswitch-enum
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast>
  $<$<BOOL:${COCOON_WERROR}>:-Werror>
  -fno-omit-frame-pointer)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(cocoon_options INTERFACE -fstack-protector-strong -fstack-clash-protection
    -ffunction-sections -fdata-sections)
  target_compile_definitions(cocoon_options INTERFACE _FORTIFY_SOURCE=2 _GLIBCXX_ASSERTIONS)
  target_link_options(cocoon_options INTERFACE -Wl,-z,relro,-z,now -Wl,--gc-sections -Wl,--as-needed)
endif()
if(COCOON_SANITIZE)
  target_compile_options(cocoon_options INTERFACE -fsanitize=${COCOON_SANITIZE}
    -fno-sanitize-recover=all)
  target_link_options(cocoon_options INTERFACE -fsanitize=${COCOON_SANITIZE})
endif()
if(COCOON_FUZZ)
  # Coverage counters everywhere; the driver itself is linked by the fuzz targets only.
  target_compile_options(cocoon_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_compile_definitions(cocoon_options INTERFACE COCOON_FAULTS=$<BOOL:${COCOON_FAULTS}>)
