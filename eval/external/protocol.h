// Messages between a search (the host) and its workers, JSON lines of the protocol that
// configs/workers/README.md writes down.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eval/evaluator.h"
#include "eval/model/rope_scaling.h"
#include "eval/text/document.h"

namespace longrope {

inline constexpr int kWorkerProtocol = 1;

// What a worker says first.
struct WorkerHello {
  std::string worker;                    // its name and version
  FingerprintParts fingerprint;          // what its scores depend on, documents and factors aside
  RopeShape shape;                       // original_length 0: it does not know
  std::optional<OwnFactors> given = {};  // of a model that is already scaled
  int64_t vocab = 0;                     // token ids are below
  bool inline_tokens = false;            // it wants ids in the messages, not in files

  bool operator==(const WorkerHello&) const = default;
};

struct WorkerHeartbeat {};

struct WorkerAnswer {
  enum class Status { kDone, kNonFinite, kFailed };
  int64_t task = 0;
  Status status = Status::kDone;
  Score score;          // nats are NaN where they are not finite
  std::string message;  // of a failure, for people
};

using WorkerMessage = std::variant<WorkerHello, WorkerHeartbeat, WorkerAnswer>;

// Bytes that a worker is to read: in a file, with their SHA-256, or in the message.
struct SharedBytes {
  std::string path, sha256;
  std::string bytes;  // instead of a file
};

// A document as it is sent.
struct SharedDocument {
  int64_t length = 0;
  SharedBytes tokens;                 // int32, little-endian
  std::optional<SharedBytes> scored;  // a byte a token, 1 where its loss counts; none: all count
};

struct StartMessage {
  std::vector<SharedDocument> documents;
};

struct TaskMessage {
  int64_t task = 0;
  int document = 0;
  int64_t length = 0;  // of the document
  RopeFactors factors;
};

struct ShutdownMessage {};

using HostMessage = std::variant<StartMessage, TaskMessage, ShutdownMessage>;

// Lines, each with its line feed.
std::string LineOf(const WorkerHello& hello);
std::string LineOf(const WorkerHeartbeat&);
std::string LineOf(const WorkerAnswer& answer);
std::string LineOf(const StartMessage& start);
std::string LineOf(const TaskMessage& task);
std::string LineOf(const ShutdownMessage&);

// Throw InputError for a line that is no message, or not one that its sender may send.
WorkerMessage ParseWorkerLine(std::string_view line);
HostMessage ParseHostLine(std::string_view line);

// The int32 ids as bytes, little-endian, and back. Throws InputError if they are not whole ids.
std::string TokenBytes(const std::vector<int32_t>& tokens);
std::vector<int32_t> TokensOf(std::string_view bytes, const std::string& where);

// Tokens whose loss counts: all but the first, or those of `scored`.
int64_t ScoredTokens(const Document& document);

}  // namespace longrope
