#!/usr/bin/env bash
# The tests from nothing, on Debian 12 (as root, or with sudo): installs packages, fetches books,
# builds, passes. May be run again at any time. usage: bash tests/run.sh [SUITE]
#   (none)   release build, every test but the slow ones
#   slow     release build, the slow ones (minutes each)
#   clients  release build, beside live transformers, tokenizers, llama.cpp: fetches gigabytes
#   asan     address and undefined-behaviour sanitizers, every test but the slow ones and whole runs
#   tsan     thread sanitizer, likewise
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

suite=${1:-release}
build=$suite
select=(--label-exclude 'slow|clients')
packages=()
# Whole searches and long texts take many minutes under a sanitizer; their parts are all tested.
whole='^integration/(Search|Eval|Export|Corpora|HostileFiles|MemoryAccount|WorkerTest.(ThisProgram|TheJob))'
sanitized=(--exclude-regex "$whole|WholeBooks")
case $suite in
  release) ;;
  slow) build=release; select=(--label-regex slow) ;;
  clients)
    build=release
    select=(--label-regex clients --verbose)
    packages=(python3-venv)
    ;;
  asan)
    export UBSAN_OPTIONS=print_stacktrace=1
    select+=("${sanitized[@]}")
    ;;
  tsan)
    select+=("${sanitized[@]}")
    packages=(clang-14 libomp-14-dev)
    export TSAN_OPTIONS="ignore_noninstrumented_modules=1"
    export OMP_TOOL_LIBRARIES=/usr/lib/llvm-14/lib/libarcher.so
    ;;
  *) echo "run.sh: no suite is named '$suite'; allowed: slow, clients, asan, tsan, or none" >&2; exit 2 ;;
esac

bash configs/install.sh "${packages[@]}"
echo "== books"
bash data/fetch_books.sh
bash configs/build.sh "$build"
if [[ $suite == clients ]]; then
  echo "== clients"
  python3 -m venv .build/release/clients
  .build/release/clients/bin/pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
  PATH=$PWD/.build/release/clients/bin:$PATH bash data/fetch_smollm2.sh
fi
echo "== tests"
ctest --test-dir ".build/$build" --output-on-failure --parallel "$(nproc)" "${select[@]}"
