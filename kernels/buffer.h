// Aligned, uninitialised memory of one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace longrope {

// `count` elements of a plain type on a 64-byte boundary. Throws std::bad_alloc.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t count) {
    if (count < 0 || count > (INT64_MAX - 63) / static_cast<int64_t>(sizeof(T))) {
      throw std::bad_alloc();
    }
    data_.reset(static_cast<T*>(std::aligned_alloc(64, static_cast<size_t>(Bytes(count)))));
    if (!data_) throw std::bad_alloc();
  }
  T* get() { return data_.get(); }
  const T* get() const { return data_.get(); }
  explicit operator bool() const { return data_ != nullptr; }

  // Bytes that `count` elements take, a whole number of 64-byte lines.
  static int64_t Bytes(int64_t count) {
    return (count * static_cast<int64_t>(sizeof(T)) + 64) / 64 * 64;
  }

 private:
  struct Free {
    void operator()(T* data) const { std::free(data); }
  };
  std::unique_ptr<T, Free> data_;
};

}  // namespace longrope
