// data/tiny on the CUDA engine, as a search would score it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "eval/backend.h"
#include "eval/evaluator_pool.h"
#include "eval/model/model_folder.h"
#include "eval/scorer.h"
#include "eval/text/corpus.h"
#include "eval/text/tokenizer.h"
#include "kernels/cuda/cuda_engine.h"
#include "kernels/device_error.h"
#include "kernels/reference/reference_engine.h"
#include "tests/cuda/stand_in/stand_in.h"
#include "tests/support/compare.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::CloseRelative;
using ::testing::HasSubstr;
using testing::SourcePath;

CudaOptions On(DType type, int device = 0) {
  return {.device = device, .type = type, .block_rows = 128, .threads = 1};
}

class TinyModel : public ::testing::Test {
 protected:
  void SetUp() override {
    stand_in::Reset();
    for (int i = 0; i < 32; ++i) factors_.lambda.push_back(1 + 0.1f * static_cast<float>(i));
    const auto tokenizer = OpenTokenizer(SourcePath("data/tiny"), folder_.config().shape.vocab);
    tokens_ = tokenizer->Encode(ReadText(SourcePath("tests/golden/transformers/passage.txt")));
    tokens_.resize(100);
  }

  double Nats(const Engine& engine) const {
    const Scorer scorer(engine, folder_, {.longest = 100});
    return scorer.ScoreTokens(tokens_, factors_)->nats;
  }
  std::vector<Document> Documents() const {
    Document first{"first", "digest", 0, tokens_};
    first.tokens.resize(40);
    Document second = first;
    second.title = "second";
    std::copy_n(tokens_.begin() + 40, 40, second.tokens.begin());
    return {first, second};
  }
  std::vector<Task> Tasks() const {
    std::vector<Task> tasks;
    for (int64_t candidate = 0; candidate < 3; ++candidate) {
      for (int document = 0; document < 2; ++document) {
        RopeFactors factors = factors_;
        factors.start_tokens = candidate;
        tasks.push_back({candidate, document, factors});
      }
    }
    return tasks;
  }

  ModelFolder folder_{SourcePath("data/tiny"), {}};
  RopeFactors factors_{{}, 4, 1.08};
  std::vector<int32_t> tokens_;
};

TEST_F(TinyModel, LossInF32IsThatOfTheReference) {
  const double expected = Nats(*MakeReferenceEngine<double>({.threads = 1}));
  EXPECT_TRUE(CloseRelative(Nats(*MakeCudaEngine(On(DType::kF32))), expected, 1e-5));
}

TEST_F(TinyModel, LossIn16BitsIsWithinTheBound) {
  const double expected = Nats(*MakeReferenceEngine<double>({.threads = 1}));
  EXPECT_TRUE(CloseRelative(Nats(*MakeCudaEngine(On(DType::kF16))), expected, 1e-4));
  EXPECT_TRUE(CloseRelative(Nats(*MakeCudaEngine(On(DType::kBF16))), expected, 2e-3));
}

// The same bits; what a missing barrier or wait leaves to chance shows.
TEST_F(TinyModel, LossDoesNotDependOnTheOrderOfThreads) {
  tokens_.resize(40);
  for (const DType type : {DType::kF32, DType::kBF16}) {
    const double expected = Nats(*MakeCudaEngine(On(type)));
    for (const stand_in::ThreadOrder order :
         {stand_in::ThreadOrder::kReverse, stand_in::ThreadOrder::kRandom,
          stand_in::ThreadOrder::kWarpBackward}) {
      stand_in::Reorder(order, stand_in::StreamOrder::kRandom);
      EXPECT_EQ(Nats(*MakeCudaEngine(On(type))), expected) << static_cast<int>(order);
    }
    stand_in::Reorder(stand_in::ThreadOrder::kForward, stand_in::StreamOrder::kLate);
  }
}

// Scores by task, as a search keeps them.
using Scores = std::map<std::pair<int64_t, int>, double>;
Scores ScoresOf(Evaluator& evaluator, const std::vector<Task>& tasks) {
  Scores scores;
  evaluator.Run(
      tasks,
      [&](const Task& task, const Score& score) {
        EXPECT_TRUE(scores.emplace(std::pair(task.candidate, task.document), score.nats).second);
      },
      {});
  return scores;
}

// A machine of several devices.
class TinyModelOnDevices : public TinyModel {
 protected:
  void Start(size_t devices) {
    stand_in::Options options;
    options.device_bytes.assign(devices, size_t{1} << 28);
    stand_in::Reset(options);
    std::vector<std::unique_ptr<Evaluator>> members;
    for (size_t device = 0; device < devices; ++device) {
      engines_.push_back(MakeCudaEngine(On(DType::kF32, static_cast<int>(device))));
      scorers_.push_back(
          std::make_unique<Scorer>(*engines_.back(), folder_, ScorerOptions{.longest = 40}));
      members.push_back(std::make_unique<ModelEvaluator>(*scorers_.back(), Documents(), "digest"));
    }
    pool_ = std::make_unique<EvaluatorPool>(
        std::move(members), [this](size_t, const std::string& why) { said_.push_back(why); });
  }

  std::vector<std::unique_ptr<Engine>> engines_;
  std::vector<std::unique_ptr<Scorer>> scorers_;
  std::unique_ptr<EvaluatorPool> pool_;
  std::vector<std::string> said_;
};

TEST_F(TinyModelOnDevices, ScoresAreThoseOfOneDevice) {
  Start(1);
  const Scores expected = ScoresOf(*pool_, Tasks());
  ASSERT_EQ(expected.size(), 6u);
  pool_.reset();
  scorers_.clear();
  engines_.clear();
  Start(2);
  EXPECT_EQ(ScoresOf(*pool_, Tasks()), expected);
  for (int device = 0; device < 2; ++device) {
    EXPECT_GT(stand_in::Counts(device).launches, 0) << device;
  }
  EXPECT_TRUE(said_.empty());
}

// Page-locked memory, tables and tokens of all devices come out of one host.
TEST_F(TinyModelOnDevices, TheHostMustHaveRoomForAllOfThem) {
  const auto engine = MakeCudaEngine(On(DType::kF32));
  const auto bind = [&](int devices) {
    const Scorer scorer(*engine, folder_, {.longest = 40, .devices = devices});
  };
  EXPECT_NO_THROW(bind(2));
  EXPECT_THAT(testing::RefusalOf([&] { bind(10'000'000); }),
              AllOf(HasSubstr("as many times as the 10000000 devices that are still to get"),
                    HasSubstr("more than the host has free")));
}

TEST_F(TinyModelOnDevices, ALostDevicesTaskGoesToAnother) {
  Start(2);
  const Scores expected = ScoresOf(*pool_, Tasks());
  stand_in::LoseDevice(1, 20);
  EXPECT_EQ(ScoresOf(*pool_, Tasks()), expected);
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], AllOf(HasSubstr("candidate "), HasSubstr("cudaErrorLaunchFailure")));
  EXPECT_EQ(ScoresOf(*pool_, Tasks()), expected) << "and it is not asked again";
  EXPECT_EQ(said_.size(), 1u);
}

TEST_F(TinyModelOnDevices, WithoutADeviceThereIsNoScore) {
  Start(2);
  stand_in::LoseDevice(0, 0);
  stand_in::LoseDevice(1, 30);
  int scores = 0;
  const auto count = [&](const Task&, const Score&) { ++scores; };
  for (int call = 0; call < 2; ++call) {
    try {
      pool_->Run(Tasks(), count, {});
      FAIL() << "nobody was left";
    } catch (const DeviceError& error) {
      EXPECT_EQ(error.kind(), DeviceError::Kind::kLost);
    }
  }
  EXPECT_LT(scores, 6);
}

TEST(CudaBackend, SaysWhyThereIsNoDevice) {
  stand_in::Options options;
  for (const auto& [driver, why] :
       {std::pair(stand_in::Driver::kTooOld, "the NVIDIA driver goes up to CUDA 12.4, this"),
        std::pair(stand_in::Driver::kMissing, "no NVIDIA driver"),
        std::pair(stand_in::Driver::kNoDevice, "no CUDA-capable device")}) {
    options.driver = driver;
    stand_in::Reset(options);
    EXPECT_TRUE(FindCudaDevices().usable.empty());
    EXPECT_THAT(testing::RefusalOf([] { MakeEngine({.name = "cuda"}); }),
                AllOf(HasSubstr("backend cuda: "), HasSubstr(why), HasSubstr("allowed here")));
    std::vector<std::string> said;
    const auto engine =
        MakeEngine({.report = [&](const std::string& line) { said.push_back(line); }});
    EXPECT_THAT(std::string(engine->name()), HasSubstr("reference/"));
    ASSERT_EQ(said.size(), 1u);
    EXPECT_THAT(said[0], AllOf(HasSubstr("backend auto: the CPU ("), HasSubstr(why)));
  }
}

// Costs are foreseen wherever the job will run.
TEST(CudaBackend, PlansWithTheCpuWhereThereIsNoDevice) {
  stand_in::Options options;
  options.driver = stand_in::Driver::kMissing;
  stand_in::Reset(options);
  std::vector<std::string> said;
  const auto engine = MakeEngineToPlan(
      {.name = "cuda", .report = [&](const std::string& line) { said.push_back(line); }});
  EXPECT_THAT(std::string(engine->name()), HasSubstr("reference/"));
  EXPECT_THAT(
      said, ::testing::ElementsAre("backend cuda: no NVIDIA driver; planned with the CPU instead"));
  stand_in::Reset();
  EXPECT_THAT(std::string(MakeEngineToPlan({.name = "cuda"})->name()), HasSubstr("cuda/bf16/"));
}

TEST(CudaBackend, TakesEveryDeviceThatIsThere) {
  stand_in::Options options;
  options.device_bytes = {1 << 28, 1 << 28, 1 << 28};
  stand_in::Reset(options);
  EXPECT_EQ(MakeEngines({.name = "auto"}).size(), 3u);
  EXPECT_EQ(MakeEngines({.name = "reference"}).size(), 1u);
  EXPECT_THAT(std::string(MakeEngine({.dtype = "f16"})->name()), HasSubstr("cuda/f16/"));
  EXPECT_THAT(testing::RefusalOf([] { MakeEngine({.dtype = "int8"}); }),
              HasSubstr("unknown dtype 'int8'; allowed: bf16, f16, f32"));
}

}  // namespace
}  // namespace longrope
