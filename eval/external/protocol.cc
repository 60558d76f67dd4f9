#include "eval/external/protocol.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "eval/errors.h"
#include "eval/model/json_file.h"
#include "eval/model/model_limits.h"

namespace longrope {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr int64_t kMaxNumber = int64_t{1} << 53;  // that JSON's readers keep exact
constexpr size_t kMaxParts = 100;
constexpr const char* kGivenType = "the worker's";  // its kind is not told
constexpr const char* kDone = "done";
constexpr const char* kNonFinite = "non_finite";
constexpr const char* kFailed = "failed";

std::string Line(const Json& message) {
  // What is not UTF-8 in a message for people must not end the talk.
  return message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

int64_t Whole(const JsonObject& object, const char* key, int64_t low, int64_t high) {
  const auto number = object.Integer(key, low, high);
  if (!number) object.Refuse(key, "is missing");
  return *number;
}

double Finite(const JsonObject& object, const char* key) {
  const auto number = object.Number(key);
  if (!number) object.Refuse(key, "is missing");
  return *number;
}

std::string Filled(const JsonObject& object, const char* key) {
  const auto text = object.Text(key);
  if (!text || text->empty()) object.Refuse(key, "is missing");
  return *text;
}

std::vector<double> Exact(const std::vector<float>& lambda) {
  return {lambda.begin(), lambda.end()};
}

void WriteFactors(const RopeFactors& factors, Json* message) {
  (*message)["lambda"] = Exact(factors.lambda);
  (*message)["start_tokens"] = factors.start_tokens;
  (*message)["attention_factor"] = factors.attention_factor;
}

RopeFactors ReadFactors(const JsonObject& object) {
  RopeFactors factors;
  const auto lambda = object.Numbers("lambda");
  if (!lambda || lambda->empty()) object.Refuse("lambda", "is missing");
  for (double value : *lambda) {
    if (!IsFactor(value)) {
      object.Refuse("lambda", "allowed: numbers above 0, finite, that fit into float32");
    }
    factors.lambda.push_back(static_cast<float>(value));
  }
  factors.start_tokens = object.Integer("start_tokens", 0, kMaxLength).value_or(0);
  factors.attention_factor = object.Number("attention_factor").value_or(1);
  if (!(factors.attention_factor > 0)) object.Refuse("attention_factor", "allowed: above 0");
  return factors;
}

FingerprintParts ReadFingerprint(const JsonObject& hello) {
  if (!hello.Has("fingerprint")) hello.Refuse("fingerprint", "is missing");
  const Json& raw = hello.Raw("fingerprint");
  if (raw.is_string()) return {{"worker", raw.get<std::string>()}};
  const JsonObject object = hello.Object("fingerprint");
  FingerprintParts parts;
  for (const std::string& name : object.Keys()) {
    if (name.starts_with("document")) {
      object.Refuse(name, "is the search's to say; allowed: other names");
    }
    parts.emplace_back(name, Filled(object, name.c_str()));
  }
  if (parts.empty() || parts.size() > kMaxParts) {
    hello.Refuse("fingerprint", "allowed: a text, or 1 to " + std::to_string(kMaxParts) + " parts");
  }
  return parts;
}

FactorBucket ReadBucket(const JsonObject& given, const RopeShape& shape) {
  FactorBucket bucket{Whole(given, "length", kMinLength, kMaxLength), ReadFactors(given)};
  if (static_cast<int>(bucket.factors.lambda.size()) != shape.head_dim / 2) {
    given.Refuse("lambda", "allowed: as many as pairs");
  }
  return bucket;
}

std::optional<OwnFactors> ReadGiven(const JsonObject& rope, const RopeShape& shape) {
  if (!rope.Has("given")) {
    if (rope.Has("dynamic")) rope.Refuse("dynamic", "allowed: with given");
    return std::nullopt;
  }
  OwnFactors own{kGivenType, {}};
  std::vector<FactorBucket>& buckets = own.set.buckets;
  const Json& raw = rope.Raw("given");
  if (raw.is_array()) {
    if (raw.empty() || raw.size() > kMaxParts) {
      rope.Refuse("given", "allowed: 1 to " + std::to_string(kMaxParts) + " of them");
    }
    for (const Json& one : raw) {
      buckets.push_back(ReadBucket(JsonObject(one, rope.name() + ": given"), shape));
      if (buckets.size() > 1 && buckets.back().length < buckets[buckets.size() - 2].length) {
        rope.Refuse("given", "allowed: lengths that do not decrease");
      }
    }
  } else {
    buckets.push_back(ReadBucket(rope.Object("given"), shape));
  }
  if (rope.Has("dynamic")) {
    const JsonObject dynamic = rope.Object("dynamic");
    own.dynamic = OwnFactors::Dynamic{
        {shape.head_dim, shape.base, Whole(dynamic, "original_length", kMinLength, kMaxLength)},
        Finite(dynamic, "factor")};
    if (!(own.dynamic->factor >= 1 && own.dynamic->factor <= 1e6)) {
      dynamic.Refuse("factor", "allowed: 1 to 1e6");
    }
  }
  return own;
}

void WriteGiven(const OwnFactors& own, Json* rope) {
  Json& given = (*rope)["given"] = Json::array();
  for (const FactorBucket& bucket : own.set.buckets) {
    Json one = {{"length", bucket.length}};
    WriteFactors(bucket.factors, &one);
    given.push_back(std::move(one));
  }
  if (own.dynamic) {
    (*rope)["dynamic"] = {{"factor", own.dynamic->factor},
                          {"original_length", own.dynamic->from.original_length}};
  }
}

WorkerHello ReadHello(const JsonObject& object) {
  const int64_t protocol = Whole(object, "protocol", 0, kMaxNumber);
  if (protocol != kWorkerProtocol) {
    object.Refuse("protocol",
                  std::to_string(protocol) + "; allowed: " + std::to_string(kWorkerProtocol));
  }
  WorkerHello hello;
  hello.worker = Filled(object, "worker");
  hello.fingerprint = ReadFingerprint(object);
  if (!object.Has("rope")) object.Refuse("rope", "is missing");
  const JsonObject rope = object.Object("rope");
  const int64_t pairs = Whole(rope, "pairs", 1, kMaxHeadDim / 2);
  hello.shape = {static_cast<int>(2 * pairs), Finite(rope, "base"),
                 rope.Integer("original_length", kMinLength, kMaxLength).value_or(0)};
  if (!(hello.shape.base > 1)) rope.Refuse("base", "allowed: above 1");
  hello.given = ReadGiven(rope, hello.shape);
  hello.vocab = Whole(object, "vocab", 1, std::numeric_limits<int32_t>::max());
  hello.inline_tokens = object.Flag("inline").value_or(false);
  return hello;
}

WorkerAnswer ReadAnswer(const JsonObject& object) {
  WorkerAnswer answer;
  answer.task = Whole(object, "task", 0, kMaxNumber);
  answer.message = object.Text("message").value_or("");
  const std::string status = Filled(object, "status");
  if (status == kFailed) {
    answer.status = WorkerAnswer::Status::kFailed;
    return answer;
  }
  answer.score.tokens = Whole(object, "tokens", 0, kMaxLength);
  if (status == kNonFinite) {
    answer.status = WorkerAnswer::Status::kNonFinite;
    answer.score.nats = std::numeric_limits<double>::quiet_NaN();
  } else if (status == kDone) {
    answer.score.nats = Finite(object, "nats");
    if (!(answer.score.nats >= 0)) object.Refuse("nats", "allowed: 0 and above");
  } else {
    object.Refuse("status", "'" + status + "'; allowed: done, non_finite, failed");
  }
  return answer;
}

Json BytesJson(const SharedBytes& shared) {
  return {{"path", shared.path}, {"sha256", shared.sha256}};
}

SharedBytes ReadShared(const JsonObject& object) {
  return {Filled(object, "path"), Filled(object, "sha256"), {}};
}

// Ids, or marks, that stand in the message: 0 to `high`.
std::vector<int32_t> InlineNumbers(const JsonObject& object, const char* key, int32_t high) {
  const auto numbers = object.Numbers(key);
  std::vector<int32_t> whole;
  for (double number : *numbers) {
    if (!(number >= 0 && number <= high && number == std::floor(number))) {
      object.Refuse(key, "allowed: whole numbers from 0 to " + std::to_string(high));
    }
    whole.push_back(static_cast<int32_t>(number));
  }
  return whole;
}

SharedDocument ReadDocument(const JsonObject& object) {
  SharedDocument document;
  document.length = Whole(object, "length", kMinLength, kMaxLength);
  if (!object.Has("tokens")) object.Refuse("tokens", "is missing");
  if (object.Raw("tokens").is_array()) {
    document.tokens.bytes =
        TokenBytes(InlineNumbers(object, "tokens", std::numeric_limits<int32_t>::max()));
  } else {
    document.tokens = ReadShared(object.Object("tokens"));
  }
  if (!object.Has("scored")) return document;
  if (object.Raw("scored").is_array()) {
    const auto marks = InlineNumbers(object, "scored", 1);
    document.scored.emplace().bytes = std::string(marks.begin(), marks.end());
  } else {
    document.scored = ReadShared(object.Object("scored"));
  }
  return document;
}

StartMessage ReadStart(const JsonObject& object) {
  const int64_t protocol = Whole(object, "protocol", 0, kMaxNumber);
  if (protocol != kWorkerProtocol) object.Refuse("protocol", std::to_string(protocol));
  if (!object.Has("documents") || !object.Raw("documents").is_array()) {
    object.Refuse("documents", "expected a list");
  }
  StartMessage start;
  for (const Json& document : object.Raw("documents")) {
    start.documents.push_back(ReadDocument(JsonObject(document, object.name() + ": documents")));
  }
  return start;
}

TaskMessage ReadTask(const JsonObject& object) {
  return {Whole(object, "task", 0, kMaxNumber),
          static_cast<int>(Whole(object, "document", 0, std::numeric_limits<int>::max())),
          Whole(object, "length", kMinLength, kMaxLength), ReadFactors(object)};
}

}  // namespace

std::string LineOf(const WorkerHello& hello) {
  Json rope = {{"pairs", hello.shape.head_dim / 2}, {"base", hello.shape.base}};
  if (hello.shape.original_length > 0) rope["original_length"] = hello.shape.original_length;
  if (hello.given) WriteGiven(*hello.given, &rope);
  Json parts = Json::object();
  for (const auto& [name, value] : hello.fingerprint) parts[name] = value;
  return Line({{"type", "hello"},
               {"protocol", kWorkerProtocol},
               {"worker", hello.worker},
               {"fingerprint", std::move(parts)},
               {"rope", std::move(rope)},
               {"vocab", hello.vocab},
               {"inline", hello.inline_tokens}});
}

std::string LineOf(const WorkerHeartbeat&) { return Line({{"type", "heartbeat"}}); }

std::string LineOf(const WorkerAnswer& answer) {
  Json message = {{"type", "answer"}, {"task", answer.task}};
  if (!answer.message.empty()) message["message"] = answer.message;
  if (answer.status == WorkerAnswer::Status::kFailed) {
    message["status"] = kFailed;
    return Line(message);
  }
  const bool finite = answer.status == WorkerAnswer::Status::kDone;
  message["status"] = finite ? kDone : kNonFinite;
  message["tokens"] = answer.score.tokens;
  if (finite) message["nats"] = answer.score.nats;
  return Line(message);
}

std::string LineOf(const StartMessage& start) {
  Json documents = Json::array();
  for (const SharedDocument& document : start.documents) {
    Json one = {{"document", documents.size()}, {"length", document.length}};
    const bool by_file = !document.tokens.path.empty();
    one["tokens"] =
        by_file ? BytesJson(document.tokens) : Json(TokensOf(document.tokens.bytes, "tokens"));
    if (document.scored) {
      const std::string& marks = document.scored->bytes;
      one["scored"] = by_file ? BytesJson(*document.scored)
                              : Json(std::vector<int>(marks.begin(), marks.end()));
    }
    documents.push_back(std::move(one));
  }
  return Line(
      {{"type", "start"}, {"protocol", kWorkerProtocol}, {"documents", std::move(documents)}});
}

std::string LineOf(const TaskMessage& task) {
  Json message = {
      {"type", "task"}, {"task", task.task}, {"document", task.document}, {"length", task.length}};
  WriteFactors(task.factors, &message);
  return Line(message);
}

std::string LineOf(const ShutdownMessage&) { return Line({{"type", "shutdown"}}); }

WorkerMessage ParseWorkerLine(std::string_view line) {
  const JsonObject object(ParseJson(line, "its line"), "its line");
  const std::string type = Filled(object, "type");
  if (type == "hello") return ReadHello(object);
  if (type == "heartbeat") return WorkerHeartbeat{};
  if (type == "answer") return ReadAnswer(object);
  object.Refuse("type", "'" + type + "'; allowed: hello, heartbeat, answer");
}

HostMessage ParseHostLine(std::string_view line) {
  const JsonObject object(ParseJson(line, "the host's line"), "the host's line");
  const std::string type = Filled(object, "type");
  if (type == "start") return ReadStart(object);
  if (type == "task") return ReadTask(object);
  if (type == "shutdown") return ShutdownMessage{};
  object.Refuse("type", "'" + type + "'; allowed: start, task, shutdown");
}

std::string TokenBytes(const std::vector<int32_t>& tokens) {
  return {reinterpret_cast<const char*>(tokens.data()), tokens.size() * sizeof(int32_t)};
}

std::vector<int32_t> TokensOf(std::string_view bytes, const std::string& where) {
  if (bytes.size() % sizeof(int32_t) != 0) {
    throw InputError(where + ": " + std::to_string(bytes.size()) + " bytes are not whole ids");
  }
  std::vector<int32_t> tokens(bytes.size() / sizeof(int32_t));
  if (!tokens.empty()) std::memcpy(tokens.data(), bytes.data(), bytes.size());
  return tokens;
}

int64_t ScoredTokens(const Document& document) {
  if (document.scored.empty()) return static_cast<int64_t>(document.tokens.size()) - 1;
  return std::count(document.scored.begin() + 1, document.scored.end(), uint8_t{1});
}

}  // namespace longrope
