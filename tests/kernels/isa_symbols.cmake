# No weak symbol may be defined in the objects of both instruction sets: the linker would keep one of
# them, and a machine without AVX2 could run into AVX2 code. usage: cmake -DNM=nm -DARCHIVE=FILE -P
cmake_minimum_required(VERSION 3.25)
foreach(isa x86_64 x86_64_v3)
  execute_process(COMMAND ${NM} --defined-only ${ARCHIVE} OUTPUT_VARIABLE listing
                  ERROR_QUIET COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCH "block_${isa}\\.cc\\.o:\n[^:]*" part "${listing}")
  string(REGEX MATCHALL "[0-9a-f]+ [WVu] [^\n]+" weak "${part}")
  string(REGEX REPLACE "[0-9a-f]+ [WVu] " "" weak_${isa} "${weak}")
  if(part STREQUAL "")
    message(FATAL_ERROR "${ARCHIVE} holds no block_${isa}.cc.o")
  endif()
endforeach()
foreach(symbol IN LISTS weak_x86_64)
  # DW.ref.*: a pointer to the exception personality, the same in both.
  if(symbol IN_LIST weak_x86_64_v3 AND NOT symbol MATCHES "^DW\\.ref\\.")
    message(SEND_ERROR "defined for both instruction sets: ${symbol}")
  endif()
endforeach()
