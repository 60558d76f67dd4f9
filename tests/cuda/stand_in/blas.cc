#include "tests/cuda/stand_in/blas.h"

#include <algorithm>
#include <string>

#include "tests/cuda/stand_in/machine.h"
#include "tests/cuda/stand_in/matrix_product.h"

namespace longrope::stand_in {
namespace {

std::shared_ptr<BlasHandle> HandleOf(cublasHandle_t handle) {
  return TheMachine().blas_handles.Find(handle);
}

[[noreturn]] void ThrowFault(const std::string& why) { throw Fault("cublasGemmEx: " + why); }

// cuBLAS would not notice; the device might.
void CheckRange(const char* name, const MatrixView& view, int64_t rows, int64_t columns,
                int device) {
  if (view.transposed) std::swap(rows, columns);
  if (rows == 0 || columns == 0) return;
  const size_t element = ElementBytes(view.type);
  const auto bytes = static_cast<size_t>((columns - 1) * view.stride + rows) * element;
  if (reinterpret_cast<uintptr_t>(view.data) % element != 0) {
    ThrowFault(std::string(name) + " is not on a boundary of its elements");
  }
  if (TheMachine().memory.OwnerOf(view.data, bytes) != device) {
    ThrowFault(std::string(name) + ": its " + std::to_string(bytes) +
               " bytes are not all in one allocation of device " + std::to_string(device));
  }
}

bool IsOffered(cudaDataType a, cudaDataType b, cudaDataType c) {
  return a == b && ElementBytes(a) != 0 && (c == a || c == CUDA_R_32F);
}

// The status that cuBLAS documents, or success.
cublasStatus_t CheckShape(const Product& p) {
  const auto fits = [](const MatrixView& view, int64_t rows, int64_t columns) {
    return view.stride >= std::max<int64_t>(1, view.transposed ? columns : rows);
  };
  if (p.m < 0 || p.n < 0 || p.k < 0) return CUBLAS_STATUS_INVALID_VALUE;
  if (!fits(p.a, p.m, p.k) || !fits(p.b, p.k, p.n) || !fits(p.c, p.m, p.n)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return IsOffered(p.a.type, p.b.type, p.c.type) ? CUBLAS_STATUS_SUCCESS
                                                 : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t CheckCompute(const BlasHandle& handle, cudaDataType type,
                            cublasComputeType_t compute) {
  const bool tf32 = (handle.math_mode & CUBLAS_TF32_TENSOR_OP_MATH) == CUBLAS_TF32_TENSOR_OP_MATH;
  if (type == CUDA_R_32F &&
      (tf32 || compute == CUBLAS_COMPUTE_32F_FAST_TF32 || compute == CUBLAS_COMPUTE_32F_FAST_16BF ||
       compute == CUBLAS_COMPUTE_32F_FAST_16F)) {
    ThrowFault("f32 is rounded to a shorter type (TF32 or 16 bits) before it is multiplied");
  }
  return compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t Enqueue(BlasHandle& handle, const Product& product) {
  const std::shared_ptr<Stream> stream = StreamOf(handle.stream);
  if (stream == nullptr) ThrowFault("the handle's stream is gone");
  Device* device = handle.device;
  if (stream->device != device || &CurrentDevice() != device) {
    ThrowFault("the handle, its stream and the current device do not belong together");
  }
  if (handle.workspace != nullptr &&
      TheMachine().memory.OwnerOf(handle.workspace, handle.workspace_bytes) != device->index()) {
    ThrowFault("the workspace has been freed");
  }
  CheckRange("A", product.a, product.m, product.k, device->index());
  CheckRange("B", product.b, product.k, product.n, device->index());
  CheckRange("C", product.c, product.m, product.n, device->index());
  device->Enqueue(stream, [device, product] {
    device->CountProduct();
    Multiply(product, device->conduct().product_sums);
  });
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace
}  // namespace longrope::stand_in

using namespace longrope::stand_in;

extern "C" {

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  if (DriverError() != cudaSuccess || CurrentDevice().lost() != cudaSuccess) {
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  Machine& machine = TheMachine();
  if (machine.NextAllocationFails()) return CUBLAS_STATUS_ALLOC_FAILED;
  auto object = std::make_shared<BlasHandle>();
  object->device = &CurrentDevice();
  *handle = static_cast<cublasHandle_t>(machine.blas_handles.Add(std::move(object)));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  return TheMachine().blas_handles.Remove(handle) ? CUBLAS_STATUS_SUCCESS
                                                  : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int* value) {
  *value = type == MAJOR_VERSION   ? CUBLAS_VER_MAJOR
           : type == MINOR_VERSION ? CUBLAS_VER_MINOR
                                   : CUBLAS_VER_PATCH;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  const auto object = HandleOf(handle);
  if (object == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  const std::lock_guard lock(object->mutex);
  object->stream = stream;
  object->workspace = nullptr;  // as documented: back to the library's own
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, size_t bytes) {
  const auto object = HandleOf(handle);
  if (object == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0) return CUBLAS_STATUS_INVALID_VALUE;
  if (workspace != nullptr &&
      TheMachine().memory.OwnerOf(workspace, bytes) != object->device->index()) {
    throw Fault("cublasSetWorkspace: not memory of the handle's device");
  }
  const std::lock_guard lock(object->mutex);
  object->workspace = workspace;
  object->workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  const auto object = HandleOf(handle);
  if (object == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  const std::lock_guard lock(object->mutex);
  object->math_mode = mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa,
                            cublasOperation_t transb, int m, int n, int k, const void* alpha,
                            const void* a, cudaDataType a_type, int lda, const void* b,
                            cudaDataType b_type, int ldb, const void* beta, void* c,
                            cudaDataType c_type, int ldc, cublasComputeType_t compute,
                            cublasGemmAlgo_t) {
  const auto object = HandleOf(handle);
  if (object == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (object->device->lost() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  if (alpha == nullptr || beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  for (const cublasOperation_t operation : {transa, transb}) {
    if (operation != CUBLAS_OP_N && operation != CUBLAS_OP_T) return CUBLAS_STATUS_INVALID_VALUE;
  }
  const std::lock_guard lock(object->mutex);
  const Product product{m,
                        n,
                        k,
                        *static_cast<const float*>(alpha),
                        *static_cast<const float*>(beta),
                        {const_cast<void*>(a), a_type, lda, transa == CUBLAS_OP_T},
                        {const_cast<void*>(b), b_type, ldb, transb == CUBLAS_OP_T},
                        {c, c_type, ldc, false}};
  cublasStatus_t status = CheckShape(product);
  if (status == CUBLAS_STATUS_SUCCESS) status = CheckCompute(*object, a_type, compute);
  if (status != CUBLAS_STATUS_SUCCESS || m == 0 || n == 0) return status;
  return Enqueue(*object, product);
}

const char* cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
#define LONGROPE_NAME(name) \
  case name:                \
    return #name
    LONGROPE_NAME(CUBLAS_STATUS_SUCCESS);
    LONGROPE_NAME(CUBLAS_STATUS_NOT_INITIALIZED);
    LONGROPE_NAME(CUBLAS_STATUS_ALLOC_FAILED);
    LONGROPE_NAME(CUBLAS_STATUS_INVALID_VALUE);
    LONGROPE_NAME(CUBLAS_STATUS_ARCH_MISMATCH);
    LONGROPE_NAME(CUBLAS_STATUS_MAPPING_ERROR);
    LONGROPE_NAME(CUBLAS_STATUS_EXECUTION_FAILED);
    LONGROPE_NAME(CUBLAS_STATUS_INTERNAL_ERROR);
    LONGROPE_NAME(CUBLAS_STATUS_NOT_SUPPORTED);
#undef LONGROPE_NAME
    default:
      return "CUBLAS_STATUS of another number";
  }
}

const char* cublasGetStatusString(cublasStatus_t status) { return cublasGetStatusName(status); }

}  // extern "C"
