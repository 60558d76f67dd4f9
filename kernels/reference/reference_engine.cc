#include "kernels/reference/reference_engine.h"

#include <cpuid.h>
#include <gnu/libc-version.h>

#include <Eigen/Core>
#include <stdexcept>
#include <string>

#include "kernels/parallel.h"
#include "kernels/reference/reference_model.h"

namespace longrope {
namespace {

using reference::BlockKernels;
using Isa = ReferenceOptions::Isa;

// All that code for x86-64-v3 may use. The compiler's own test does not know every one of them.
bool HasV3() {
  unsigned a = 0, b = 0, extended = 0, basic = 0, d = 0;
  constexpr unsigned kLzcnt = 1u << 5, kMovbe = 1u << 22, kF16c = 1u << 29;
  return __get_cpuid(1, &a, &b, &basic, &d) && (basic & kMovbe) && (basic & kF16c) &&
         __get_cpuid(0x80000001, &a, &b, &extended, &d) && (extended & kLzcnt) &&
         __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

Isa Choose(Isa asked) {
  if (asked == Isa::kBest) return HasV3() ? Isa::kX8664V3 : Isa::kX8664;
  if (asked == Isa::kX8664V3 && !HasV3()) {
    throw std::invalid_argument("this CPU has no AVX2 and FMA (x86-64-v3)");
  }
  return asked;
}

template <class T>
const BlockKernels<T>& KernelsOf(Isa isa) {
  if constexpr (std::is_same_v<T, float>) {
    return isa == Isa::kX8664V3 ? reference::kFloatX8664V3 : reference::kFloatX8664;
  } else {
    return isa == Isa::kX8664V3 ? reference::kDoubleX8664V3 : reference::kDoubleX8664;
  }
}

std::string BuildText() {
  const auto version = [](auto... numbers) {
    std::string text;
    ((text += (text.empty() ? "" : ".") + std::to_string(numbers)), ...);
    return text;
  };
  return std::string("compiler ") + __VERSION__ + ", Eigen " +
         version(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION) + ", glibc " +
         gnu_get_libc_version();  // whose exp and log are called
}

template <class T>
class ReferenceEngine final : public Engine {
 public:
  explicit ReferenceEngine(const ReferenceOptions& options)
      : kernels_(KernelsOf<T>(Choose(options.isa))),
        threads_(options.threads > 0 ? options.threads : DefaultThreads()),
        name_(std::string(sizeof(T) == 4 ? "reference/f32/" : "reference/f64/") + kernels_.isa) {
    kernels_.initialise();
  }

  std::string_view name() const override { return name_; }
  std::string_view build() const override { return build_; }
  int64_t Grain() const override { return reference::kBlockRows; }
  int Threads() const override { return threads_; }

  EngineBytes Bytes(const MemoryNeeds& needs) const override {
    return {WeightBytes(needs), reference::ReferenceSequence<T>::Bytes(needs.shape, needs.tokens,
                                                                       needs.scope, threads_)};
  }

  std::unique_ptr<Model> Bind(const ModelShape& shape, const WeightSource& weights,
                              int64_t) const override {
    return std::make_unique<reference::ReferenceModel<T>>(shape, weights, kernels_, threads_);
  }

 private:
  static int64_t WeightBytes(const MemoryNeeds& needs) {
    const ModelShape& s = needs.shape;
    const auto elements = [&](WeightRole role) { return WeightSize(role, s).Elements(); };
    if (sizeof(T) == 4 && needs.stored == DType::kF32) {
      const int64_t paired = elements(WeightRole::kQuery) + elements(WeightRole::kKey);
      return needs.paired_heads ? 4 * s.layers * paired : 0;
    }
    int64_t layer = 0;
    for (const WeightRole role : kLayerRoles) layer += elements(role);
    return static_cast<int64_t>(sizeof(T)) *
           (s.layers * layer + elements(WeightRole::kFinalNorm) + elements(WeightRole::kHead));
  }

  const BlockKernels<T>& kernels_;
  int threads_;
  std::string name_;
  std::string build_ = BuildText();
};

}  // namespace

template <class T>
std::unique_ptr<Engine> MakeReferenceEngine(const ReferenceOptions& options) {
  return std::make_unique<ReferenceEngine<T>>(options);
}

template std::unique_ptr<Engine> MakeReferenceEngine<float>(const ReferenceOptions&);
template std::unique_ptr<Engine> MakeReferenceEngine<double>(const ReferenceOptions&);

}  // namespace longrope
