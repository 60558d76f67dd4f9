#include "eval/external/worker_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <new>
#include <sstream>
#include <stdexcept>
#include <streambuf>
#include <utility>

#include "eval/errors.h"
#include "eval/external/shared_files.h"
#include "kernels/device_error.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using ::testing::HasSubstr;

// Counts the messages that were flushed into it.
class Answers final : public std::stringbuf {
 public:
  void WaitFor(int count) const {
    for (int now = flushes_; now < count; now = flushes_) flushes_.wait(now);
  }

 private:
  int sync() override {
    ++flushes_;
    flushes_.notify_all();
    return 0;
  }
  std::atomic<int> flushes_ = 0;
};

// Lines of a host that says the next, or ends, once so many messages have come.
class Host final : public std::streambuf {
 public:
  struct Line {
    std::string text;
    int after = 0;
  };
  Host(std::vector<Line> lines, const Answers& answers)
      : lines_(std::move(lines)), answers_(answers) {}

 private:
  int_type underflow() override {
    if (next_ == lines_.size()) return traits_type::eof();
    Line& line = lines_[next_++];
    answers_.WaitFor(line.after);
    if (line.text.empty()) return traits_type::eof();
    setg(line.text.data(), line.text.data(), line.text.data() + line.text.size());
    return traits_type::to_int_type(line.text.front());
  }

  std::vector<Line> lines_;
  const Answers& answers_;
  size_t next_ = 0;
};

// Its losses are 2 nats a token; with n-hat 1 they are not finite, with n-hat 2 it fails; with 3 it
// computes until it is stopped.
WorkerService Service() {
  return {
      .hello = {.worker = "w",
                .fingerprint = {{"model", "x"}},
                .shape = {4, 1e4, 16},
                .given = {},
                .vocab = 100},
      .prepare =
          [](int64_t longest) {
            if (longest > 4) throw InputError("does not fit");
          },
      .score = [](const Document& document, const RopeFactors& factors,
                  std::stop_token stop) -> std::optional<Score> {
        if (factors.start_tokens == 2) throw InputError("out of luck");
        while (factors.start_tokens == 3) {
          if (stop.stop_requested()) return std::nullopt;
        }
        const int64_t tokens = ScoredTokens(document);
        return Score{(factors.start_tokens == 1 ? NAN : 2.0) * static_cast<double>(tokens), tokens};
      }};
}

class WorkerServerTest : public ::testing::Test {
 protected:
  // All that it says to these lines after its hello.
  static std::vector<WorkerAnswer> Talk(std::vector<Host::Line> lines,
                                        const WorkerService& service = Service()) {
    Answers answers;
    Host host(std::move(lines), answers);
    std::istream in(&host);
    std::ostream out(&answers);
    ServeWorker(service, in, out);
    std::istringstream said(answers.str());
    std::string line;
    std::getline(said, line);
    EXPECT_EQ(std::get<WorkerHello>(ParseWorkerLine(line)), Service().hello);
    std::vector<WorkerAnswer> all;
    while (std::getline(said, line)) {
      all.push_back(std::get<WorkerAnswer>(ParseWorkerLine(line)));
    }
    return all;
  }
  // The answer to one task after a start.
  static WorkerAnswer Ask(const std::string& start, const TaskMessage& task,
                          const WorkerService& service = Service()) {
    const auto answers = Talk({{start, 1}, {LineOf(task), 1}, {"", 2}}, service);
    EXPECT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers.at(0).task, task.task);
    return answers.at(0);
  }
  static TaskMessage TaskOn(int document, int64_t start = 0, std::vector<float> lambda = {1, 2}) {
    return {.task = 5, .document = document, .length = 4, .factors = {std::move(lambda), start, 1}};
  }
  static Document FourTokens() {
    Document document;
    document.tokens = {1, 2, 3, 99};
    return document;
  }

  testing::TempFolder folder_;
};

TEST_F(WorkerServerTest, AnswersTaskByTask) {
  Document some = FourTokens();
  some.scored = {1, 0, 1, 0};
  for (bool in_line : {false, true}) {
    SharedFiles files(folder_ / "tokens");
    const std::string start = LineOf(files.Share({FourTokens(), some}, in_line));
    EXPECT_EQ(Ask(start, TaskOn(0)).score, (Score{6, 3}));
    EXPECT_EQ(Ask(start, TaskOn(1)).score, (Score{2, 1}));
    EXPECT_EQ(Ask(start, TaskOn(0, 1)).status, WorkerAnswer::Status::kNonFinite);
    const auto failed = [&](const TaskMessage& task, const std::string& said) {
      const WorkerAnswer answer = Ask(start, task);
      EXPECT_EQ(answer.status, WorkerAnswer::Status::kFailed);
      EXPECT_THAT(answer.message, HasSubstr(said));
    };
    failed(TaskOn(0, 2), "out of luck");
    failed(TaskOn(2), "document 2: is not there");
    failed(TaskOn(0, 0, {1}), "1 numbers; allowed: 2");
  }
}

TEST_F(WorkerServerTest, WhatIsWrongWithDocumentsIsSaidByTheirTasks) {
  SharedFiles files(folder_ / "tokens");
  const auto said = [&](StartMessage start) {
    const WorkerAnswer answer = Ask(LineOf(start), TaskOn(0));
    EXPECT_EQ(answer.status, WorkerAnswer::Status::kFailed);
    return answer.message;
  };
  Document wrong = FourTokens();
  wrong.tokens[1] = 100;
  EXPECT_THAT(said(files.Share({wrong}, false)), HasSubstr("allowed: 0 to 99"));
  wrong = FourTokens();
  wrong.tokens.push_back(1);
  EXPECT_THAT(said(files.Share({wrong}, true)), HasSubstr("does not fit"));
  wrong = FourTokens();
  wrong.scored = {1, 1, 1};
  EXPECT_THAT(said(files.Share({wrong}, false)), HasSubstr("0 or 1 for each token"));
  StartMessage start = files.Share({FourTokens()}, false);
  start.documents[0].length = 3;
  EXPECT_THAT(said(start), HasSubstr("has 4 ids, not 3"));
  start = files.Share({FourTokens()}, false);
  testing::WriteFile(start.documents[0].tokens.path, std::string(16, '\0'));
  EXPECT_THAT(said(start), HasSubstr("something else than its SHA-256 says"));
  std::filesystem::remove(start.documents[0].tokens.path);
  EXPECT_THAT(said(start), HasSubstr("cannot be"));
}

TEST_F(WorkerServerTest, FilesAreWrittenOnceAndAgainWhereTheyAreGone) {
  SharedFiles files(folder_ / "tokens");
  const std::string path = files.Share({FourTokens()}, false).documents[0].tokens.path;
  const std::string before = testing::SlurpFile(path);
  testing::WriteFile(path, "a mark");
  files.Share({FourTokens()}, false);
  EXPECT_EQ(testing::SlurpFile(path), "a mark");
  std::filesystem::remove_all(folder_ / "tokens");
  files.Share({FourTokens()}, false);
  EXPECT_EQ(testing::SlurpFile(path), before);
}

TEST_F(WorkerServerTest, WhateverFailsIsAnAnswer) {
  SharedFiles files(folder_ / "tokens");
  const std::string start = LineOf(files.Share({FourTokens()}, true));
  const std::pair<std::function<void()>, const char*> failures[] = {
      {[] { throw DeviceError(DeviceError::Kind::kOutOfMemory, "no room: 9 GB"); },
       "no room: 9 GB"},
      {[] { throw std::bad_alloc(); }, "out of memory"},
      {[] { throw std::invalid_argument("too few keys"); }, "too few keys"}};
  for (const auto& [fail, said] : failures) {
    WorkerService unprepared = Service(), unscored = Service();
    unprepared.prepare = [&fail = fail](int64_t) { fail(); };
    unscored.score = [&fail = fail](const auto&...) -> std::optional<Score> {
      fail();
      return std::nullopt;
    };
    for (const WorkerService& service : {unprepared, unscored}) {
      const WorkerAnswer answer = Ask(start, TaskOn(0), service);
      EXPECT_EQ(answer.status, WorkerAnswer::Status::kFailed);
      EXPECT_EQ(answer.message, said);
    }
  }
}

TEST_F(WorkerServerTest, EndsInTheMiddleOfATask) {
  SharedFiles files(folder_ / "tokens");
  const std::string start = LineOf(files.Share({FourTokens()}, true));
  const std::string endless = LineOf(TaskOn(0, 3));
  EXPECT_TRUE(Talk({{start, 1}, {endless, 1}, {LineOf(ShutdownMessage{}), 1}}).empty());
  EXPECT_TRUE(Talk({{start, 1}, {endless, 1}}).empty());
}

TEST_F(WorkerServerTest, ALineThatIsNoMessageEndsTheTalk) {
  EXPECT_THROW(Talk({{"hello\n", 1}}), InputError);
  EXPECT_THROW(Talk({{"{\"type\":\"start\",\"protocol\":2,\"documents\":[]}\n", 1}}), InputError);
}

}  // namespace
}  // namespace longrope
