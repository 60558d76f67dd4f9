// The other side of the protocol: this program as a worker of somebody's search.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <stop_token>

#include "eval/external/protocol.h"

namespace longrope {

// What is served. Either may throw any std::exception: the task is answered as failed, with the
// reason.
struct WorkerService {
  WorkerHello hello;
  // Documents of up to `longest` tokens will be scored.
  std::function<void(int64_t longest)> prepare;
  // nullopt if stopped.
  std::function<std::optional<Score>(const Document& document, const RopeFactors& factors,
                                     std::stop_token stop)>
      score;
};

// Says hello on `out`, then answers what comes on `in`, task by task, with a heartbeat every few
// seconds while it computes; until it is told to end, or `in` ends: then it stops soon, in the
// middle of a task too. Throws InputError for a line that is no message. After another exception a
// thread may be left that reads `in`.
void ServeWorker(const WorkerService& service, std::istream& in, std::ostream& out);

}  // namespace longrope
