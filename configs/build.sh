#!/usr/bin/env bash
# Builds into .build/NAME. usage: bash configs/build.sh NAME [TARGET...]
#   release   optimised; leaves the program at .build/release/longrope
#   asan      address and undefined-behaviour sanitizers
#   tsan      thread sanitizer (clang, whose OpenMP it understands)
# LONGROPE_WERROR=ON in the environment makes warnings errors.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name=${1:?usage: bash configs/build.sh release|asan|tsan [TARGET...]}
shift

options=(-DLONGROPE_WERROR="${LONGROPE_WERROR:-OFF}")
case $name in
  release) options+=(-DCMAKE_BUILD_TYPE=Release) ;;
  asan) options+=(-DCMAKE_BUILD_TYPE=RelWithDebInfo -DLONGROPE_SANITIZE=address) ;;
  tsan) options+=(-DCMAKE_BUILD_TYPE=RelWithDebInfo -DLONGROPE_SANITIZE=thread
                  -DCMAKE_CXX_COMPILER=clang++-14 -DCMAKE_C_COMPILER=clang-14) ;;
  *) echo "build.sh: no build is named '$name'; allowed: release, asan, tsan" >&2; exit 2 ;;
esac
if command -v ccache >/dev/null; then
  options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  export CCACHE_SLOPPINESS=pch_defines,time_macros  # it keeps nothing of precompiled headers otherwise
fi

echo "== build: .build/$name"
cmake -S "$root" -B "$root/.build/$name" -G Ninja "${options[@]}" | sed -n 's/^-- \(.*CUDA engine.*\)/\1/p'
cmake --build "$root/.build/$name" ${*:+--target "$@"}
