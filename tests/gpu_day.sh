#!/usr/bin/env bash
# On a machine with a GPU and a bare CUDA toolkit (nvcc, cuBLAS and a C++20 compiler; no other package, no
# network): builds the CUDA engine and a small driver, runs the kernels' tests on the device, compares whole
# passes with double, measures. Prints one report, for results/reference. Exits with 1 if anything is wrong.
# usage: gpu_day.sh [OUT_FOLDER]     default: a folder of mktemp
#        gpu_day.sh --stand-in [OUT_FOLDER]   tries the kit out on a CPU, with tiny shapes
# GPU_DAY_ARCH=sm_90 in the environment builds for that and not for this machine's GPU.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stand_in=no
if [ "${1:-}" = --stand-in ]; then stand_in=yes; shift; fi
out=${1:-$(mktemp -d)}
rm -rf "$out/objects"
mkdir -p "$out/objects"

device_code=(kernels/cuda/*.cu)
host_code=(kernels/cuda/{check,cuda_engine,cuda_model,cuda_sequence,gemm,memory,memory_plan}.cc
           kernels/{load_row,sequence_checks,weights}.cc eval/{rope_builder,work}.cc tests/support/{naive_transformer,random_weights}.cc
           tests/cuda/{engine_pass,pairwise,ops_test,attention_test}.cc tests/gpu_day/{far_out,gpu_day,measure}.cc)
if [ "$stand_in" = yes ]; then
  toolkit=${CUDA_HOME:-/usr/local/cuda}
  host_code+=(tests/cuda/thread_order.cc tests/cuda/stand_in/*.cc)
  compile() {
    "${CXX:-g++}" -std=c++20 -O2 -fopenmp -Wno-unknown-pragmas -Itests/cuda/stand_in -Itests/gpu_day -I. \
      -isystem "$toolkit/include" "$@"
  }
  compile_device() { compile -x c++ -c "$1" -o "$2"; }
  link() { "${CXX:-g++}" -fopenmp "$@"; }
  arguments=(--small)
else
  if [ -z "${GPU_DAY_ARCH:-}" ] && ! nvidia-smi -L > /dev/null 2>&1; then
    echo "gpu_day.sh: no GPU here; --stand-in tries the kit out on a CPU, GPU_DAY_ARCH=sm_90 only builds it" >&2
    exit 2
  fi
  nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
  toolkit=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
  host_code+=(tests/gpu_day/thread_order.cc)
  compile() { "$nvcc" -std=c++20 -O2 -Xcompiler -fopenmp -Itests/gpu_day -I. "$@"; }
  compile_device() { compile -arch="${GPU_DAY_ARCH:-native}" -c "$1" -o "$2"; }
  link() {
    "$nvcc" -Xcompiler -fopenmp "$@" -lcublas -Xlinker "-rpath,$toolkit/lib64,-rpath,$toolkit/lib"
  }
  arguments=()
fi

objects=()
started=()
finish() { for job in "${started[@]}"; do wait "$job"; done; started=(); }
for source in "${device_code[@]}" "${host_code[@]}"; do
  object=$out/objects/$(echo "$source" | tr / _).o
  objects+=("$object")
  if [[ $source == *.cu ]]; then compile_device "$source" "$object" & else compile -c "$source" -o "$object" & fi
  started+=($!)
  if ((${#started[@]} >= $(nproc))); then finish; fi
done
finish
link "${objects[@]}" -o "$out/gpu_day"

name=gpu-day
if [ "$stand_in" = yes ]; then name=stand-in-day; fi
report=$out/$name-$(date +%F).md
code=0
"$out/gpu_day" "${arguments[@]}" > "$report" || code=$?
if [ "$stand_in" = no ] && command -v python3 > /dev/null && python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
  printf '\n## torch beside it\n\n| shape | what | time | TFLOP/s |\n|---|---|---|---:|\n' >> "$report"
  python3 tests/gpu_day/torch_attention.py >> "$report" || code=1
fi
cat "$report"
echo "report: $report"
exit "$code"
