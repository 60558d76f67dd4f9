// The only place that names OpenMP.
#pragma once

#include <omp.h>

#include <cstdint>
#include <exception>

namespace longrope {

// Threads a machine offers by default (OMP_NUM_THREADS and affinity respected).
inline int DefaultThreads() { return omp_get_max_threads(); }

// Calls body(index, worker) for every index of [0, count), each once, on up to `threads` threads
// and in any order; `worker` in [0, threads) is the same for calls that follow each other on a
// thread. Returns when all are done; the first exception is thrown again here.
template <class Body>
void ParallelFor(int64_t count, int threads, const Body& body) {
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (count > 1 && threads > 1)
  for (int64_t index = 0; index < count; ++index) {
    try {
      body(index, omp_get_thread_num());
    } catch (...) {
#pragma omp critical(longrope_parallel_failure)
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace longrope
