# Version facts. The build id ties cocoon to its helper programs: both sides compare it, so a
# half-finished upgrade is an error and not a riddle.
find_program(COCOON_GIT git)
set(COCOON_GIT_HASH unknown)
set(COCOON_VERSION_TEXT ${PROJECT_VERSION})
if(COCOON_GIT)
  execute_process(COMMAND ${COCOON_GIT} -C ${PROJECT_SOURCE_DIR} rev-parse HEAD
    OUTPUT_VARIABLE hash OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    set(COCOON_GIT_HASH ${hash})
  endif()
endif()
string(TIMESTAMP COCOON_BUILT "%Y-%m-%dT%H:%M:%S" UTC)
