// The reference engine: the contract of engine.h in plain Eigen, on any x86-64 CPU. It judges every
// faster engine and is the fallback where none runs.
#pragma once

#include <memory>

#include "kernels/engine.h"

namespace longrope {

struct ReferenceOptions {
  int threads = 0;  // computing threads; 0: as many as the machine offers
  // Instruction set; kBest takes the best one that this CPU has. Different sets differ in the last
  // bits (fused multiply-add), so the set is part of name().
  enum class Isa { kBest, kX8664, kX8664V3 } isa = Isa::kBest;
};

// T: float or double, the type of weights, hidden states, keys and values. Throws
// std::invalid_argument if the CPU lacks the instruction set asked for.
template <class T>
std::unique_ptr<Engine> MakeReferenceEngine(const ReferenceOptions& options = {});

extern template std::unique_ptr<Engine> MakeReferenceEngine<float>(const ReferenceOptions&);
extern template std::unique_ptr<Engine> MakeReferenceEngine<double>(const ReferenceOptions&);

}  // namespace longrope
