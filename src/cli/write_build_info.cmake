# Run in script mode at every build: writes build_info.cpp anew when version or commit changed, and
# leaves it alone otherwise, so that a commit costs one small compilation and an unchanged tree none.
# -D PROJECT_SOURCE_DIR, PROJECT_VERSION, OUTPUT.
include(${PROJECT_SOURCE_DIR}/cmake/build_id.cmake)
set(COCOON_FACTS "${COCOON_VERSION_TEXT} ${COCOON_GIT_HASH}")
if(EXISTS ${OUTPUT})
  file(STRINGS ${OUTPUT} same REGEX "facts \"${COCOON_FACTS}\"")
  if(same)
    return()
  endif()
endif()
string(SHA256 COCOON_BUILD_ID "${COCOON_FACTS} ${COCOON_BUILT} ${OUTPUT}")
string(SUBSTRING ${COCOON_BUILD_ID} 0 16 COCOON_BUILD_ID)
configure_file(${PROJECT_SOURCE_DIR}/src/cli/build_info.cpp.in ${OUTPUT} @ONLY)
