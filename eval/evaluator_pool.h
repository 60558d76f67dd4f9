// Several devices as one evaluator.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "eval/evaluator.h"

namespace longrope {

// Each member takes the next task of one queue as soon as it is done with its last: which computes
// what, and in which order scores arrive, depends on their speed; the scores do not.
class EvaluatorPool final : public Evaluator {
 public:
  // Members score the same documents on the same model, each on a device of its own; their
  // fingerprints are equal, or std::invalid_argument is thrown. lost(member, why) is called when a
  // device is lost, from one thread at a time; it must not throw.
  EvaluatorPool(std::vector<std::unique_ptr<Evaluator>> members,
                std::function<void(size_t, const std::string&)> lost);

  // A task whose device is lost goes to another one; the device gets no more tasks, in later calls
  // neither. Throws DeviceError when none is left. Any other failure of a member stops the others
  // and is thrown.
  void Run(std::span<const Task> tasks, const Done& done, std::stop_token stop) override;
  FingerprintParts Fingerprint() const override { return members_.front()->Fingerprint(); }

 private:
  std::vector<std::unique_ptr<Evaluator>> members_;
  std::function<void(size_t, const std::string&)> tell_lost_;
  std::vector<bool> lost_;
  std::exception_ptr loss_;  // of the last one
};

}  // namespace longrope
