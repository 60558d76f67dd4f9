// The block kernels for machines with AVX2 and FMA (compiled with -march=x86-64-v3).
#define Eigen EigenX8664V3
#define LONGROPE_ISA x86_64_v3
#include "kernels/reference/block_kernels.h"

namespace longrope::reference {
const BlockKernels<float> kFloatX8664V3 = Kernels<float>("x86-64-v3");
const BlockKernels<double> kDoubleX8664V3 = Kernels<double>("x86-64-v3");
}  // namespace longrope::reference
