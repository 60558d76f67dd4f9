// What tests over the stand-in begin with.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "kernels/cuda/check.h"
#include "tests/cuda/stand_in/sanitizers.h"
#include "tests/cuda/stand_in/stand_in.h"

namespace longrope::stand_in {

// Each test gets a machine of its own, and must leave it as it was: nothing allocated, no handles,
// nothing written beside an allocation.
class StandInTest : public ::testing::Test {
 protected:
  StandInTest() { Reset(); }
  ~StandInTest() override { Reset(); }

  void TearDown() override {
    for (const std::string& overrun : Overruns()) ADD_FAILURE() << overrun;
    EXPECT_EQ(PinnedMemory().current, 0u) << "pinned memory leaks";
    for (int device = 0; device < Devices(); ++device) {
      EXPECT_EQ(DeviceMemory(device).current, 0u) << "memory of device " << device << " leaks";
    }
    EXPECT_EQ(Handles(), 0) << "streams, events or cuBLAS handles leak";
  }
};

// An array in the current device's memory.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t size) : size_(size) {
    LONGROPE_CUDA_CHECK(cudaMalloc(reinterpret_cast<void**>(&data_), size * sizeof(T)));
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    LONGROPE_CUDA_CHECK(
        cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(DeviceArray&& other) noexcept
      : size_(other.size_), data_(std::exchange(other.data_, nullptr)) {}
  DeviceArray& operator=(DeviceArray&&) = delete;

  T* data() const { return data_; }
  size_t size() const { return size_; }
  // Once everything on the device is done.
  std::vector<T> Get() const {
    LONGROPE_CUDA_CHECK(cudaDeviceSynchronize());
    std::vector<T> values(size_);
    LONGROPE_CUDA_CHECK(
        cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  size_t size_;
  T* data_ = nullptr;
};

}  // namespace longrope::stand_in

// `statement` throws a stand_in::Fault whose text holds `part`.
#define EXPECT_FAULT(statement, part)                                                     \
  do {                                                                                    \
    try {                                                                                 \
      statement;                                                                          \
      ADD_FAILURE() << "no fault is noticed";                                             \
    } catch (const ::longrope::stand_in::Fault& fault) {                                  \
      EXPECT_NE(std::string(fault.what()).find(part), std::string::npos) << fault.what(); \
    }                                                                                     \
  } while (false)
