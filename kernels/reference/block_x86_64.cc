// The block kernels for every x86-64 machine (SSE2).
#define Eigen EigenX8664
#define LONGROPE_ISA x86_64
#include "kernels/reference/block_kernels.h"

namespace longrope::reference {
const BlockKernels<float> kFloatX8664 = Kernels<float>("x86-64");
const BlockKernels<double> kDoubleX8664 = Kernels<double>("x86-64");
}  // namespace longrope::reference
