#include "kernels/cuda/cuda_engine.h"

#include "kernels/cuda/cuda_model.h"
#include "kernels/cuda/ops.h"
#include "kernels/parallel.h"

namespace longrope {
namespace {

std::string VersionText(int version) {  // 13020 is 13.2
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

constexpr int kFirstArchitecture = 8;  // sm_80: bf16 tensor cores and cp.async

std::string CublasVersion() {
  const auto part = [](libraryPropertyType what) {
    int value = 0;
    LONGROPE_CUDA_CHECK(cublasGetProperty(what, &value));
    return std::to_string(value);
  };
  return part(MAJOR_VERSION) + "." + part(MINOR_VERSION) + "." + part(PATCH_LEVEL);
}

class CudaEngine final : public Engine {
 public:
  explicit CudaEngine(const CudaOptions& options)
      : options_(options), threads_(options.threads > 0 ? options.threads : DefaultThreads()) {
    if (options.block_rows < cuda::kMinBlockRows || options.block_rows % cuda::kMinBlockRows != 0) {
      throw std::invalid_argument("block_rows must be a multiple of 128");
    }
    cuda::UseDevice(options.device);
    cudaDeviceProp properties;
    LONGROPE_CUDA_CHECK(cudaGetDeviceProperties(&properties, options.device));
    int runtime = 0;
    LONGROPE_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
    name_ = std::string("cuda/") + NameOf(options.type) + "/sm_" +
            std::to_string(properties.major) + std::to_string(properties.minor);
    build_ = std::string(properties.name) + ", " + std::to_string(properties.multiProcessorCount) +
             " processors, CUDA " + VersionText(runtime) + ", cuBLAS " + CublasVersion() +
             ", blocks of " + std::to_string(options.block_rows) + " rows";
    size_t free = 0, total = 0;
    LONGROPE_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    const auto most = static_cast<int64_t>(free / 100 * 95);  // CUDA's own needs grow, too
    if (options_.memory_bytes > most && options_.report) {
      options_.report("device " + std::to_string(options.device) + " has " +
                      std::to_string(most / 1'000'000) + " MB free, not the " +
                      std::to_string(options_.memory_bytes / 1'000'000) +
                      " asked for: taking these");
    }
    if (options_.memory_bytes == 0 || options_.memory_bytes > most) options_.memory_bytes = most;
  }

  std::string_view name() const override { return name_; }
  std::string_view build() const override { return build_; }
  int64_t Grain() const override { return options_.block_rows; }
  int Threads() const override { return threads_; }
  std::optional<int64_t> DeviceBytes() const override { return options_.memory_bytes; }

  EngineBytes Bytes(const MemoryNeeds& needs) const override {
    const cuda::PassShape pass = PassOf(needs.shape, needs.tied_head);
    const cuda::Placement where = cuda::Place(pass, needs.longest, options_.memory_bytes);
    const cuda::PassMemory memory = cuda::MemoryOf(pass, needs.tokens, needs.scope, where);
    // Chunk by chunk through all layers, every chunk would copy all that is not on the device.
    const bool offered = needs.scope == KvScope::kOneLayer || (where.weights && where.hidden);
    return {memory.bound, offered ? memory.Sequence() : kNotOffered, memory.pinned};
  }

  std::unique_ptr<Model> Bind(const ModelShape& shape, const WeightSource& weights,
                              int64_t longest) const override {
    if (shape.head_dim > cuda::kMaxHeadDim) {
      throw std::invalid_argument("heads of " + std::to_string(shape.head_dim) +
                                  " numbers; the CUDA engine takes up to 256");
    }
    const bool tied =
        weights.Get(WeightRole::kHead, 0).data == weights.Get(WeightRole::kEmbedding, 0).data;
    const cuda::PassShape pass = PassOf(shape, tied);
    const cuda::Placement where = cuda::Place(pass, longest, options_.memory_bytes);
    switch (options_.type) {
      case DType::kF32:
        return BindAs<float>(pass, where, weights);
      case DType::kF16:
        return BindAs<__half>(pass, where, weights);
      default:
        return BindAs<__nv_bfloat16>(pass, where, weights);
    }
  }

 private:
  cuda::PassShape PassOf(const ModelShape& shape, bool tied_head) const {
    return {shape, tied_head, options_.type, options_.block_rows};
  }
  template <class T>
  std::unique_ptr<Model> BindAs(const cuda::PassShape& pass, const cuda::Placement& where,
                                const WeightSource& weights) const {
    return std::make_unique<cuda::CudaModel<T>>(options_.device, pass, where, weights, threads_,
                                                options_.report);
  }

  CudaOptions options_;
  int threads_;
  std::string name_, build_;
};

}  // namespace

CudaDevices FindCudaDevices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) {
    cudaGetLastError();  // it must not come out of a later call
    int version = 0;
    cudaDriverGetVersion(&version);  // 0 without one
    return {{},
            version == 0 ? "no NVIDIA driver"
                         : "the NVIDIA driver goes up to CUDA " + VersionText(version) +
                               ", this program wants " + VersionText(CUDART_VERSION)};
  }
  if (status != cudaSuccess) {
    cudaGetLastError();
    return {{}, cudaGetErrorString(status)};
  }
  CudaDevices devices;
  for (int device = 0; device < count; ++device) {
    int major = 0;
    LONGROPE_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    if (major >= kFirstArchitecture) devices.usable.push_back(device);
  }
  if (devices.usable.empty())
    devices.why_none = "no CUDA device of compute capability 8.0 or later";
  return devices;
}

std::unique_ptr<Engine> MakeCudaEngine(const CudaOptions& options) {
  return std::make_unique<CudaEngine>(options);
}

}  // namespace longrope
