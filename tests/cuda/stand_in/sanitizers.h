// Which sanitizer the program is built with, and the few calls to it that the stand-in makes.
//
// Under the thread sanitizer the stand-in itself is not instrumented, so that only kernels, the
// product's host code and the tests are watched; CMake defines LONGROPE_STAND_IN_TSAN then.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define LONGROPE_STAND_IN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LONGROPE_STAND_IN_ASAN 1
#endif
#endif

#ifdef LONGROPE_STAND_IN_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef LONGROPE_STAND_IN_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
void AnnotateIgnoreSyncBegin(const char* file, int line);
void AnnotateIgnoreSyncEnd(const char* file, int line);
}
#endif

namespace longrope::stand_in {

#ifdef LONGROPE_STAND_IN_ASAN
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
#ifdef LONGROPE_STAND_IN_TSAN
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

// Any access to the bytes is an error from here on, or no longer one.
inline void Forbid([[maybe_unused]] const void* bytes, [[maybe_unused]] size_t count) {
#ifdef LONGROPE_STAND_IN_ASAN
  __asan_poison_memory_region(bytes, count);
#endif
}
inline void Permit([[maybe_unused]] const void* bytes, [[maybe_unused]] size_t count) {
#ifdef LONGROPE_STAND_IN_ASAN
  __asan_unpoison_memory_region(bytes, count);
#endif
}

// Memory that the current (host or CUDA) thread has written is seen by whoever acquires `key`.
inline void Release([[maybe_unused]] void* key) {
#ifdef LONGROPE_STAND_IN_TSAN
  __tsan_release(key);
#endif
}
inline void Acquire([[maybe_unused]] void* key) {
#ifdef LONGROPE_STAND_IN_TSAN
  __tsan_acquire(key);
#endif
}

// While one lives, the thread sanitizer sees neither accesses nor locks of this thread: the
// stand-in's own tables must not order host threads that the product forgot to order.
class Unwatched {
 public:
  Unwatched() {
#ifdef LONGROPE_STAND_IN_TSAN
    AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
  }
  ~Unwatched() {
#ifdef LONGROPE_STAND_IN_TSAN
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
#endif
  }
  Unwatched(const Unwatched&) = delete;
  Unwatched& operator=(const Unwatched&) = delete;
};

}  // namespace longrope::stand_in
