# Fails on an upward include (tests -> search -> eval -> kernels is the only direction), on a source
# file over 400 lines, on a package included outside its home, and on a folder that README's map
# lacks, and on a stray file at the top. usage: cmake -DROOT=<repository> -P house_rules.cmake
cmake_minimum_required(VERSION 3.25)
set(allowed_kernels "kernels")
set(allowed_eval "kernels|eval")
set(allowed_search "kernels|eval|search")
set(allowed_tests "kernels|eval|search|tests")
set(max_lines 400)

# package header -> the files that may include it
set(homes
    "yaml-cpp/=>search/job/yaml_tree[.]cc"
    "hdf5[.]h=>eval/storage/hdf5_file[.]cc"
    "Eigen/=>kernels/reference/|search/cma_es[.]cc"
    "omp[.]h=>kernels/parallel[.]h"
    "sentencepiece_=>eval/text/sentence_piece[.]cc"
    "pcre2[.]h=>eval/text/regex[.]cc"
    "utf8proc[.]h=>eval/text/unicode[.]cc"
    "archive=>eval/storage/archive[.]cc|tests/support/archive_writer[.]cc"
    "zlib[.]h=>eval/storage/gunzip[.]cc"
    "Random123/=>search/rng[.]cc"
    "openssl/=>eval/storage/digest[.]cc"
    "spdlog/=>search/cli/console[.]cc"
    "CLI/=>search/cli/"
    "nlohmann/=>eval/model/json_file[.]h|tests/"
    "cu[bd]=>kernels/cuda/|tests/cuda/")

foreach(layer kernels eval search tests)
  file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/${layer}/*.h ${ROOT}/${layer}/*.cc
       ${ROOT}/${layer}/*.cu ${ROOT}/${layer}/*.cuh)
  foreach(file ${files})
    file(READ ${ROOT}/${file} text)
    string(REGEX MATCHALL "\n" newlines "${text}")  # file(STRINGS) joins lines at an open bracket
    list(LENGTH newlines lines)
    if(lines GREATER ${max_lines})
      message(SEND_ERROR "${file}: ${lines} lines, allowed are ${max_lines}")
    endif()
    string(REGEX MATCHALL "#include \"[^\"]*\"" includes "${text}")
    foreach(include ${includes})
      if(NOT include MATCHES "\"(${allowed_${layer}})/")
        message(SEND_ERROR "${file}: ${include}: ${layer} may include (${allowed_${layer}})/")
      endif()
    endforeach()
    foreach(rule ${homes})
      string(REGEX MATCH "^(.*)=>(.*)$" parts "${rule}")
      set(header "${CMAKE_MATCH_1}")
      set(home "${CMAKE_MATCH_2}")
      if(text MATCHES "#include <${header}" AND NOT file MATCHES "^(${home})")
        message(SEND_ERROR "${file}: includes <${header}...>, whose home is ${home}")
      endif()
    endforeach()
    get_filename_component(folder ${file} DIRECTORY)
    list(APPEND folders ${folder})
  endforeach()
endforeach()

# The top level is fixed; hidden files aside.
set(top CMakeLists.txt README.md configs data eval kernels results search tests)
file(GLOB found RELATIVE ${ROOT} ${ROOT}/*)
foreach(entry ${found})
  if(NOT entry MATCHES "^[.]" AND NOT entry IN_LIST top)
    message(SEND_ERROR "${entry}: does not belong to the top level: ${top}")
  endif()
endforeach()

# Every folder of sources stands in README's map under its own name.
file(READ ${ROOT}/README.md readme)
list(REMOVE_DUPLICATES folders)
foreach(folder ${folders})
  get_filename_component(name ${folder} NAME)
  if(NOT readme MATCHES "[`/]${name}/`")
    message(SEND_ERROR "README.md: the folder map lacks ${folder}/")
  endif()
endforeach()
