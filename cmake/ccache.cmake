# Uses ccache where it is installed, so that a second build (another preset, a clean clone) is quick.
find_program(COCOON_CCACHE ccache)
if(COCOON_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # With a precompiled header ccache needs these allowances (ccache manual, "Precompiled headers").
  set(launcher ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${COCOON_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
