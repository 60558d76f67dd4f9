#!/usr/bin/env bash
# Seeds one bug at a time into the CUDA engine and shows which build of the tests notices it. Works on a
# copy of the tree; needs the toolkit's headers, no GPU. Takes about a minute a bug.
# usage: seeded_bugs.sh [NAME...]   all of them without a name; results/reference/seeded-bugs.md is its output
# Exits with 1 if a bug is noticed by no build, or its text is no longer in the file.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
copy=${SEEDED_BUGS_FOLDER:-$(mktemp -d)}  # one that is there from before spares the first build
mkdir -p "$copy"
cd "$root"
git ls-files -z | tar --null -T - -cf - | tar -C "$copy" -xf -
cd "$copy"
targets=(cuda_tests cuda_asan_tests cuda_tsan_tests)
export OMP_NUM_THREADS=1
# nvcc has no part in this.
cmake -S . -B .build/release -G Ninja -DCMAKE_BUILD_TYPE=Release -DLONGROPE_CUDA=OFF > build.log
build() { cmake --build .build/release --target "${targets[@]}" > build.log 2>&1; }
build || { tail -20 build.log >&2; exit 1; }

# How a run of the tests of these suites ends: "" if they pass.
verdict() {  # program filter
  local code=0
  timeout 300 ".build/release/$1" --gtest_brief=1 --gtest_filter="$2" > out.txt 2>&1 || code=$?
  [ "$code" = 0 ] && return
  [ "$code" = 124 ] && { echo "hangs"; return; }
  grep -oE 'data race|AddressSanitizer: [a-zA-Z-]+|runtime error: .{0,60}|fault: [^"(]*' out.txt | head -1 | grep . && return
  grep -oE '\[  FAILED  \] [A-Za-z0-9_/.]+' out.txt | head -1 | sed 's/.*\] /fails /' | grep . || echo "ends with $code"
}

missed=0
# seed NAME FILE OLD NEW FILTER: OLD stands once in FILE.
seed() {
  local name=$1 file=$2 old=$3 new=$4 filter=$5
  if [ -n "$wanted" ] && [[ " $wanted " != *" $name "* ]]; then return; fi
  local text bugged
  text=$(<"$root/$file")
  bugged=${text/"$old"/"$new"}
  if [ "$bugged" = "$text" ] || [ "${bugged/"$old"/}" != "$bugged" ] && [[ "$new" != *"$old"* ]]; then
    echo "| $name | its text is not, or not once, in $file |"
    missed=1
    return
  fi
  printf '%s\n' "$bugged" > "$file"
  local line="| $name |" noticed=0 found
  if build; then
    for program in "${targets[@]}"; do
      found=$(verdict "$program" "$filter")
      [ -n "$found" ] && noticed=1
      line+=" ${found:--} |"
    done
  else
    line+=" does not compile | | |"
  fi
  echo "$line"
  [ "$noticed" = 1 ] || missed=1
  cp "$root/$file" "$file"
}
wanted=$*

K=kernels/cuda
T=$K/attention_tensor.cu
attention='Attention.Tensor*:-*FirstOfMany*'
engine='CudaEngineTest.NatsAre*:CudaEngineTest.*TheOrderOf*:CudaEngineTest.WhereThe*'
echo "# Bugs put into the CUDA engine"
echo
echo "By \`bash tests/cuda/seeded_bugs.sh\`: each alone, and what each build of the tests says; -: nothing."
echo
echo "| bug | release | address, undefined | thread |"
echo "|---|---|---|---|"
seed wait-missing $T 'CopyWait<0>();' '' "$attention"
seed wait-for-all-but-one $T 'CopyWait<0>();' 'CopyWait<1>();' "$attention"
seed wait-after-the-barrier $T 'CopyWait<0>();    // this thread'"'"'s part of the tile has landed
    __syncthreads();' '__syncthreads(); CopyWait<0>();' "$attention"
seed commit-missing $T 'if (tile < last_tile) start_tile(tile + 1);
    CopyCommit();' 'if (tile < last_tile) start_tile(tile + 1);' "$attention"
seed barrier-missing $T '__syncthreads();  // everybody' '// everybody' "$attention"
seed barrier-not-for-all $T 'CopyWait<0>();' 'if (warp_rows <= 0) break; CopyWait<0>();' "$attention"
seed stale-buffer $T 'key_tiles + tile % 2 * Shape::kTile, lane);' 'key_tiles, lane);' "$attention"
seed mask-off-by-one $T 'key > row ||' 'key > row + 1 ||' "$attention"
seed window-off-by-one $T 'key <= row - window' 'key < row - window' "$attention"
seed last-tile-dropped $T '(block_end - 1) / Shape::kKeys' '(block_end - 1) / Shape::kKeys - (block_end > Shape::kKeys)' "$attention"
seed fragments-swapped $T 'p[m][1] = Pack<T>(low[2], low[3]);
      p[m][2] = Pack<T>(high[0], high[1]);' 'p[m][2] = Pack<T>(low[2], low[3]);
      p[m][1] = Pack<T>(high[0], high[1]);' "$attention"
seed not-transposed $T 'LoadMatrix4Trans(b,' 'LoadMatrix4(b,' "$attention"
seed wrong-head $T 'head / (arguments.heads / arguments.kv_heads)' 'head % arguments.kv_heads' "$attention"
seed no-rescaling $T 'state.total[m][d][2 * h] *= keep;' '' "$attention"
seed rescaling-drifts $T 'Exp2(factor * (state.top[m][h] - base))' 'Exp2(fmaf(state.top[m][h], factor, -shift))' 'Attention.TensorKeeps*'
seed half-the-quad-summed $K/attention_tile.cuh 'return Op::Of(value, __shfl_xor_sync(0xffffffffu, value, 2));' 'return value;' "$attention"
seed row-past-the-end $T 'if (row < rows) {' 'if (row <= rows) {' "$attention"
seed key-past-the-end $K/attention_tile.cuh 'const bool live = first + row < limit;' 'const bool live = true;' "$attention"
seed shared-memory-short $T 'Shape::kSharedBytes, stream,' 'Shape::kSharedBytes - 32, stream,' "$attention"
seed warp-barrier-missing $T '__syncwarp();
  for (int i = lane;' 'for (int i = lane;' "$attention"
seed part-of-a-warp $T 'SoftmaxTile<T, kDim>(state, score, factor);' 'if (lane < 31) SoftmaxTile<T, kDim>(state, score, factor);' "$attention"
seed plain-weights-read-early $K/attention_plain.cu '__syncwarp();  // every lane'"'"'s weight is there' '' 'Attention.Plain*'
seed plain-tile-overwritten $K/attention_plain.cu '__syncthreads();  // the next tile overwrites this one, and the weights' '' 'Attention.Plain*'
seed reduction-scratch-reused $K/reduce.cuh '__syncthreads();  // the next reduction writes to scratch' '' 'Head.*:Ops*'
seed reduction-read-early $K/reduce.cuh 'if (lane == 0) scratch[warp] = value;
  __syncthreads();' 'if (lane == 0) scratch[warp] = value;' 'Head.*:Ops*'
seed rotation-turned-back $K/rotate.cu 'a * row_cos[pair] - b * row_sin[pair]' 'a * row_cos[pair] + b * row_sin[pair]' 'Ops*'
seed rotation-of-neighbours $K/rotate.cu 'T* high = low + pairs;' 'T* high = low + 1;' 'Ops*'
seed norm-unscaled $K/rms_norm.cu 'squares / static_cast<float>(width) + epsilon' 'squares + epsilon' 'Ops*'
seed gate-past-the-end $K/swiglu.cu 'if (i >= count) return;' 'if (i > count) return;' 'Ops*'
seed head-parts-not-rescaled $K/head.cu 'before.sum * expf(before.maximum - maximum)' 'before.sum' 'Head.*'
seed head-tie-to-the-higher-id $K/head.cu 'if (highest > before.maximum)' 'if (highest >= before.maximum)' Head.*
seed head-target-of-another-part $K/head.cu 'row[target - first]' 'row[target % width]' 'Head.*'
seed layer-copied-over $K/cuda_sequence.cc 'slot.used.LetWait(copies_);' '' "$engine"
seed layer-read-early $K/cuda_sequence.cc 'slot.copied.LetWait(compute);' '' "$engine"
seed rotations-overwritten $K/cuda_sequence.cc 'copied_[next_].Wait();' '' "$engine"
seed page-not-kept $K/cuda_sequence.cc 'FeedForward(layer, matrices, block, hidden);
    KeepHidden(block);' 'FeedForward(layer, matrices, block, hidden);' "$engine"
seed keys-of-another-layer $K/cuda_sequence.cc 'scope_ == KvScope::kAllLayers ? layer : 0' '0' "$engine"
exit "$missed"
