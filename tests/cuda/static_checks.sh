#!/usr/bin/env bash
# What nvcc says of every kernel for every architecture: warnings, spills, local memory and doubles are
# errors, and registers and shared memory are those of resources/nvcc-VERSION.txt. Needs no GPU. Exits with
# 77 after the compilations if there is no table for this nvcc.
# usage: static_checks.sh [--write]   --write: makes the table of this nvcc anew
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
nvcc=${NVCC:-nvcc}
version=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
table=tests/cuda/resources/nvcc-$version.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for arch in sm_80 sm_90 sm_100 sm_120; do
  for source in kernels/cuda/*.cu; do
    "$nvcc" -std=c++20 -arch="$arch" -I. -Werror all-warnings --resource-usage \
      -Xptxas -warn-spills,-warn-lmem-usage,-warn-double-usage -c "$source" -o "$work/object" \
      > "$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
    # "Compiling entry function 'NAME' for 'ARCH'", later "Used N registers, ..., M bytes smem, ..."
    c++filt < "$work/said" | awk -v arch="$arch" '
      /Compiling entry function/ {
        name = $0
        sub(/.*::\(anonymous namespace\)::/, "", name)
        sub(/^.*Compiling entry function .(void )?/, "", name)
        sub(/\(.*/, "", name)
      }
      /Used [0-9]+ registers/ {
        registers = $0; sub(/.*Used /, "", registers); sub(/ registers.*/, "", registers)
        shared = 0
        if (match($0, /[0-9]+ bytes smem/)) { split(substr($0, RSTART), word, " "); shared = word[1] }
        print arch ": " name ": " registers " registers, " shared " bytes of static shared memory"
      }'
  done
done | sort > "$work/table"
[ -s "$work/table" ] || { echo "nvcc said nothing of any kernel" >&2; exit 1; }

if [ "${1:-}" = --write ]; then
  cp "$work/table" "$table"
elif [ -f "$table" ]; then
  diff -u "$table" "$work/table"
else
  echo "no table for nvcc $version (tests/cuda/resources); $(wc -l < "$work/table") kernels compiled clean"
  exit 77
fi
