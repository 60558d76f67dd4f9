#include "eval/external/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/refusal.h"

namespace longrope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class Message>
Message FromWorker(const std::string& line) {
  return std::get<Message>(ParseWorkerLine(line));
}

TEST(Protocol, FactorsAndScoresArriveWithTheSameBits) {
  TaskMessage task{.task = 3, .document = 1, .length = 20, .factors = {}};
  for (float value = 1; value < 300; value = std::nextafter(value * 1.37f, 1e9f)) {
    task.factors.lambda.push_back(value);
  }
  task.factors.start_tokens = 28;
  task.factors.attention_factor = 1.0199220616600664;
  const auto read = std::get<TaskMessage>(ParseHostLine(LineOf(task)));
  EXPECT_EQ(read.factors, task.factors);
  EXPECT_EQ(read.task, 3);
  EXPECT_EQ(read.document, 1);
  for (double nats : {0.0, 0.1, 1271.869496210843, 5e-324, 1.7976931348623157e308}) {
    const WorkerAnswer answer{7, WorkerAnswer::Status::kDone, {nats, 19}, ""};
    const auto back = FromWorker<WorkerAnswer>(LineOf(answer));
    EXPECT_EQ(back.score, answer.score);
    EXPECT_EQ(back.task, 7);
  }
}

TEST(Protocol, AHelloArrivesWhole) {
  WorkerHello hello{.worker = "w 1",
                    .fingerprint = {{"dtype", "f32"}, {"model", "x"}},
                    .shape = {4, 1e6, 4096},
                    .given = OwnFactors{"the worker's", {{{8192, {{1.5f, 2.25f}, 3, 1.1}}}}},
                    .vocab = 32000,
                    .inline_tokens = true};
  EXPECT_EQ(FromWorker<WorkerHello>(LineOf(hello)), hello);
  hello.given->set.buckets.push_back({9000, {{2.5f, 2.75f}, 3, 1.2}});
  EXPECT_EQ(FromWorker<WorkerHello>(LineOf(hello)), hello);
  hello.given->dynamic = {{4, 1e6, 2048}, 1.7};
  EXPECT_EQ(FromWorker<WorkerHello>(LineOf(hello)), hello);
  hello.given.reset();
  hello.shape.original_length = 0;
  EXPECT_EQ(FromWorker<WorkerHello>(LineOf(hello)), hello);
  // What a stranger may leave out, or write in another way.
  const auto short_one = FromWorker<WorkerHello>(
      R"({"type":"hello","protocol":1,"worker":"w","fingerprint":"abc","new":[1],)"
      R"("rope":{"pairs":2,"base":10000,"given":{"length":9,"lambda":[1,2]}},"vocab":5})");
  EXPECT_EQ(short_one.given->set.buckets, (std::vector<FactorBucket>{{9, {{1, 2}, 0, 1}}}));
  EXPECT_THAT(short_one.fingerprint, ElementsAre(std::pair("worker", "abc")));
  EXPECT_FALSE(short_one.inline_tokens);
}

TEST(Protocol, LinesThatCannotBeAreRefused) {
  const std::string answer = R"({"type":"answer","task":1,"tokens":5,)";
  const std::string rope =
      R"({"type":"hello","protocol":1,"worker":"w","fingerprint":"x","vocab":5,)"
      R"("rope":{"pairs":2,"base":10,)";
  for (const auto& one : std::vector<std::pair<std::string, std::string>>{
           {"", "not valid JSON"},
           {"hello", "not valid JSON"},
           {"[]", "expected a JSON object"},
           {"{}", "type: is missing"},
           {R"({"type":"task"})", "allowed: hello, heartbeat, answer"},
           {answer + R"("status":"done","nats":NaN})", "not valid JSON"},
           {answer + R"("status":"done","nats":1e999})", "not valid JSON"},
           {answer + R"("status":"done"})", "nats: is missing"},
           {answer + R"("status":"done","nats":"1"})", "nats"},
           {answer + R"("status":"done","nats":-0.5})", "nats: allowed"},
           {answer + R"("nats":1})", "status: is missing"},
           {R"({"type":"answer","task":1.5,"tokens":5,"status":"done","nats":1})", "task"},
           {R"({"type":"answer","task":-1,"tokens":5,"status":"done","nats":1})", "task"},
           {R"({"type":"answer","task":1,"tokens":1e30,"status":"done","nats":1})", "tokens"},
           {R"({"type":"hello","protocol":2})", "protocol: 2; allowed: 1"},
           {R"({"type":"hello","protocol":1,"worker":"w","fingerprint":{"document 0":"x"}})",
            "is the search's to say"},
           {R"({"type":"hello","protocol":1,"worker":"w","fingerprint":{}})", "1 to 100"},
           {R"({"type":"hello","protocol":1,"worker":"w","fingerprint":"x","vocab":5,)"
            R"("rope":{"pairs":2,"base":1}})",
            "base: allowed"},
           {R"({"type":"hello","protocol":1,"worker":"w","fingerprint":"x","vocab":5,)"
            R"("rope":{"pairs":2,"base":10,"given":{"length":9,"lambda":[1]}}})",
            "as many as pairs"},
           {rope + R"("given":[]}})", "given: allowed: 1 to 100"},
           {rope + R"("given":[3]}})", "given"},
           {rope + R"("given":[{"length":9,"lambda":[1,1]},{"length":8,"lambda":[2,2]}]}})",
            "lengths that do not decrease"},
           {rope + R"("dynamic":{"factor":2,"original_length":9}}})",
            "dynamic: allowed: with given"},
           {rope + R"("given":{"length":9,"lambda":[1,1]},"dynamic":{"factor":0.5,)"
                   R"("original_length":9}}})",
            "factor: allowed"}}) {
    EXPECT_REFUSED(ParseWorkerLine(one.first), one.second);
  }
}

TEST(Protocol, LinesOfAHostThatCannotBeAreRefused) {
  const std::string task = R"({"type":"task","task":1,"document":0,"length":4,)";
  const std::string start =
      R"({"type":"start","protocol":1,"documents":[{"length":4,"tokens":[1,2,3,4],)";
  for (const auto& one : std::vector<std::pair<std::string, std::string>>{
           {task + R"("lambda":[1,0]})", "lambda: allowed"},
           {task + R"("lambda":[1,1e-50]})", "lambda: allowed"},  // 0 in float32
           {task + R"("lambda":[1,1e39]})", "lambda: allowed"},
           {start + R"("scored":[0,1,2,1]}]})", "scored: allowed: whole numbers from 0 to 1"},
           {start + R"("scored":[0,1,257,1]}]})", "scored: allowed"},  // 1 in a byte
           {start + R"("scored":[0,1,0.5,1]}]})", "scored: allowed"}}) {
    EXPECT_REFUSED(ParseHostLine(one.first), one.second);
  }
}

}  // namespace
}  // namespace longrope
