#include "eval/external/worker_server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <exception>
#include <istream>
#include <memory>
#include <mutex>
#include <new>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "eval/errors.h"
#include "eval/external/shared_files.h"

namespace longrope {
namespace {

constexpr auto kHeartbeat = std::chrono::seconds(5);

// What the host has said.
class Inbox {
 public:
  // Waits. Throws what reading met.
  HostMessage Next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !messages_.empty() || failure_; });
    if (messages_.empty()) std::rethrow_exception(failure_);
    HostMessage message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }
  // Requested when the host has ended the talk.
  std::stop_token ended() const { return ended_.get_token(); }

  // Until the host has ended the talk.
  void Fill(std::istream& in) {
    try {
      for (std::string line; std::getline(in, line);) {
        HostMessage message = ParseHostLine(line);
        if (std::holds_alternative<ShutdownMessage>(message)) break;
        Add(std::move(message));
      }
      Add(ShutdownMessage{});
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
    }
    ended_.request_stop();
    changed_.notify_all();
  }

 private:
  void Add(HostMessage message) {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
    changed_.notify_all();
  }

  std::mutex mutex_;  // of the next three
  std::condition_variable changed_;
  std::deque<HostMessage> messages_;
  std::exception_ptr failure_;
  std::stop_source ended_;
};

// Reads while a task is computed, so that the host's end is noticed.
class Reader {
 public:
  explicit Reader(std::istream& in)
      : inbox_(std::make_shared<Inbox>()), thread_([inbox = inbox_, &in] { inbox->Fill(in); }) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  // Where the talk goes on but this side ends it by a failure, nothing wakes a read that waits.
  ~Reader() {
    if (inbox_->ended().stop_requested()) {
      thread_.join();
    } else {
      thread_.detach();
    }
  }
  Inbox* operator->() const { return inbox_.get(); }

 private:
  std::shared_ptr<Inbox> inbox_;
  std::thread thread_;
};

// Lines, whole and at once, and heartbeats between them.
class Outbox {
 public:
  explicit Outbox(std::ostream& out)
      : out_(out), heart_([this](std::stop_token stop) { Beat(stop); }) {}

  template <class Message>
  void Say(const Message& message) {
    const std::lock_guard lock(mutex_);
    out_ << LineOf(message) << std::flush;
  }

  // Hearts beat while it lives.
  class Busy {
   public:
    explicit Busy(Outbox* outbox) : outbox_(outbox) { outbox_->busy_ = true; }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy() { outbox_->busy_ = false; }

   private:
    Outbox* outbox_;
  };

 private:
  void Beat(std::stop_token stop) {
    std::mutex sleeping;
    std::condition_variable_any never;
    std::unique_lock lock(sleeping);
    while (!never.wait_for(lock, stop, kHeartbeat, [&] { return stop.stop_requested(); })) {
      if (busy_) Say(WorkerHeartbeat{});
    }
  }

  std::ostream& out_;
  std::mutex mutex_;
  std::atomic<bool> busy_ = false;
  std::jthread heart_;
};

// Why a task fails. Throws what is no exception of the standard library's.
std::string ReasonOf(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& error) {
    return error.what();
  }
}

// The documents of the talk, and how their tasks are answered.
class Desk {
 public:
  explicit Desk(const WorkerService& service) : service_(service) {}

  void Open(const StartMessage& start) {
    documents_.clear();
    trouble_.clear();
    try {
      int64_t longest = 0;
      for (const SharedDocument& shared : start.documents) {
        documents_.push_back(Read(shared));
        longest = std::max(longest, shared.length);
      }
      service_.prepare(longest);
    } catch (...) {  // for every task to say
      trouble_ = ReasonOf(std::current_exception());
    }
  }

  // nullopt if stopped.
  std::optional<WorkerAnswer> Answer(const TaskMessage& task, std::stop_token stop) const {
    WorkerAnswer answer{task.task, WorkerAnswer::Status::kFailed, {}, trouble_};
    if (!trouble_.empty()) return answer;
    try {
      Check(task);
      const auto score = service_.score(documents_[static_cast<size_t>(task.document)],
                                        task.factors, std::move(stop));
      if (!score) return std::nullopt;
      answer.score = *score;
      answer.status = std::isfinite(score->nats) ? WorkerAnswer::Status::kDone
                                                 : WorkerAnswer::Status::kNonFinite;
    } catch (...) {
      answer.message = ReasonOf(std::current_exception());
    }
    return answer;
  }

 private:
  Document Read(const SharedDocument& shared) const {
    const std::string where = "document " + std::to_string(documents_.size());
    Document document;
    document.tokens = TokensOf(ReadShared(shared.tokens), where);
    if (static_cast<int64_t>(document.tokens.size()) != shared.length) {
      throw InputError(where + ": has " + std::to_string(document.tokens.size()) + " ids, not " +
                       std::to_string(shared.length));
    }
    for (int32_t token : document.tokens) {
      if (token >= 0 && token < service_.hello.vocab) continue;
      throw InputError(where + ": has an id of " + std::to_string(token) + "; allowed: 0 to " +
                       std::to_string(service_.hello.vocab - 1));
    }
    if (shared.scored) {
      const std::string marks = ReadShared(*shared.scored);
      document.scored = {marks.begin(), marks.end()};
      if (document.scored.size() != document.tokens.size() ||
          std::ranges::any_of(document.scored, [](uint8_t mark) { return mark > 1; })) {
        throw InputError(where + ": scored: allowed: 0 or 1 for each token");
      }
    }
    return document;
  }
  void Check(const TaskMessage& task) const {
    if (static_cast<size_t>(task.document) >= documents_.size()) {
      throw InputError("document " + std::to_string(task.document) + ": is not there");
    }
    const size_t pairs = static_cast<size_t>(service_.hello.shape.head_dim / 2);
    if (task.factors.lambda.size() != pairs) {
      throw InputError("lambda: " + std::to_string(task.factors.lambda.size()) +
                       " numbers; allowed: " + std::to_string(pairs));
    }
  }

  const WorkerService& service_;
  std::vector<Document> documents_;
  std::string trouble_;  // that the documents made
};

}  // namespace

void ServeWorker(const WorkerService& service, std::istream& in, std::ostream& out) {
  Outbox outbox(out);
  outbox.Say(service.hello);
  Desk desk(service);
  const Reader inbox(in);
  while (true) {
    const HostMessage message = inbox->Next();
    if (std::holds_alternative<ShutdownMessage>(message) || inbox->ended().stop_requested()) return;
    const Outbox::Busy busy(&outbox);
    if (const auto* start = std::get_if<StartMessage>(&message)) {
      desk.Open(*start);
    } else if (const auto answer = desk.Answer(std::get<TaskMessage>(message), inbox->ended())) {
      outbox.Say(*answer);
    }
  }
}

}  // namespace longrope
