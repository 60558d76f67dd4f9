// The whole evaluator against what transformers computes (tests/golden/transformers).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "eval/backend.h"
#include "eval/forward.h"
#include "eval/key_tokens.h"
#include "eval/model/model_folder.h"
#include "eval/rope_builder.h"
#include "eval/rope_methods.h"
#include "eval/scorer.h"
#include "eval/text/tokenizer.h"
#include "tests/support/compare.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using nlohmann::json;
using testing::Close;
using testing::CloseRelative;
using testing::SlurpFile;
using testing::SourcePath;

constexpr double kTolerance = 1e-4;  // of nats per token, relative

json Golden(const std::string& name) {
  return json::parse(SlurpFile(SourcePath("tests/golden/transformers/" + name)));
}

const json& Case(const json& golden, const std::string& name, const std::string& model = "") {
  for (const json& one : golden.at("cases")) {
    if (one.at("name") == name && one.value("model", "") == model) return one;
  }
  throw std::runtime_error("no golden case " + name);
}

struct Expected {
  double total;
  std::vector<double> nats;
};

Expected ExpectedOf(const json& one) {
  return {one.at("total_nats"), one.at("token_nats").get<std::vector<double>>()};
}

std::vector<double> Nats(const ModelFolder& folder, bool window, const RopeFactors& factors,
                         const std::vector<int32_t>& ids) {
  const auto engine = MakeEngine({.name = "reference", .threads = 2});
  ModelShape shape = folder.config().shape;
  if (!window) shape.sliding_window = 0;
  const auto model = engine->Bind(shape, folder, INT64_MAX);
  const RopeShape rope{shape.head_dim, folder.config().rope_base, 0};
  const auto count = static_cast<int64_t>(ids.size());
  const RopeTable table = BuildRopeTable(factors, rope, count - 1, 2);
  const ForwardPlan plan = PlanForward(
      *engine, NeedsOf(folder.config(), folder.stored(), count, count), int64_t{1} << 40);
  return *TokenNats(*model, shape, plan, ids, table, {});
}

void ExpectEqualNats(const std::vector<double>& nats, const Expected& expected,
                     double tolerance = kTolerance) {
  ASSERT_EQ(nats.size(), expected.nats.size());
  double total = 0;
  for (double value : nats) total += value;
  EXPECT_TRUE(CloseRelative(total, expected.total, tolerance));
  for (size_t i = 0; i < nats.size(); ++i) {
    // A likely token's few nats are the difference of large logits: an absolute part as well.
    const double allowed = 1e-3 + 1e-3 * expected.nats[i];
    ASSERT_TRUE(Close(nats[i], expected.nats[i], allowed)) << "token " << i + 1;
  }
}

// The golden's inv_freq, which transformers computes in float32 (base^(2i/d) rounded, then
// inverted): a few units in the last place.
void ExpectEqualFrequencies(const RopeFactors& factors, const RopeShape& rope, const json& one) {
  const auto expected = one.at("inv_freq").get<std::vector<double>>();
  ASSERT_EQ(factors.lambda.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const double angle = RopeAngle(factors, rope, static_cast<int>(i), 1);
    EXPECT_TRUE(CloseRelative(angle, expected[i], 4e-7)) << "pair " << i;
  }
  EXPECT_TRUE(CloseRelative(factors.attention_factor, one.at("attention_scaling"), 1e-7));
}

RopeFactors LongRope(const json& one) {
  return {one.at("lambda").get<std::vector<float>>(), 0, one.at("attention_factor")};
}

class TinyGolden : public ::testing::TestWithParam<const char*> {
 protected:
  static RopeFactors FactorsOf(const json& one, const RopeShape& rope, int64_t length) {
    const std::string name = one.at("name");
    const double ratio = one.value("factor", 1.0);
    if (name == "longrope") return LongRope(one);
    const RopeMethod method = name == "none"      ? RopeMethod::kNone
                              : name == "linear"  ? RopeMethod::kPi
                              : name == "dynamic" ? RopeMethod::kDynamicNtk
                                                  : RopeMethod::kYarn;
    const YarnOptions yarn{one.value("beta_fast", 32.0), one.value("beta_slow", 1.0), true};
    return MethodFactors(method, rope, ratio, length, yarn);
  }
};

TEST_P(TinyGolden, FrequenciesAndNatsEqualThoseOfTransformers) {
  const json golden = Golden("tiny.json");
  const json& one = Case(golden, GetParam());
  const ModelFolder folder(SourcePath("data/tiny"), {});
  const auto ids = golden.at("ids").get<std::vector<int32_t>>();
  ASSERT_EQ(ids.size(), 2048u);
  const RopeShape rope = folder.config().Rope();
  ASSERT_EQ(rope.original_length, 256);
  const RopeFactors factors = FactorsOf(one, rope, static_cast<int64_t>(ids.size()));
  ExpectEqualFrequencies(factors, rope, one);
  ExpectEqualNats(Nats(folder, true, factors, ids), ExpectedOf(one));
}

INSTANTIATE_TEST_SUITE_P(Rotations, TinyGolden,
                         ::testing::Values("none", "linear", "dynamic", "yarn", "yarn_beta_4_1",
                                           "longrope"),
                         [](const auto& of) { return std::string(of.param); });

// The cases are no test of the rotation unless they lie much further apart than the tolerance.
TEST(TinyGolden, CasesLieFarApart) {
  const json golden = Golden("tiny.json");
  for (const json& a : golden.at("cases")) {
    for (const json& b : golden.at("cases")) {
      if (&a == &b) continue;
      const double x = a.at("total_nats"), y = b.at("total_nats");
      EXPECT_GT(std::abs(x - y), 20 * kTolerance * x) << a.at("name") << " and " << b.at("name");
    }
  }
}

TEST(TinyGolden, ThePassageGivesTheIdsThatWereScored) {
  const auto expected = Golden("tiny.json").at("ids").get<std::vector<int32_t>>();
  const auto tokenizer = OpenTokenizer(SourcePath("data/tiny"), 4096);
  auto ids = tokenizer->Encode(SlurpFile(SourcePath("tests/golden/transformers/passage.txt")));
  ASSERT_GE(ids.size(), expected.size());
  ids.resize(expected.size());
  EXPECT_EQ(ids, expected);
}

struct SmallCase {
  const char *model, *name;
  bool window;
};

class SmallGolden : public ::testing::TestWithParam<SmallCase> {};

RopeFactors SmallFactors(const json& one) {
  return one.contains("lambda") ? LongRope(one) : RopeFactors{std::vector<float>(8, 1.0f), 0, 1};
}

TEST_P(SmallGolden, FrequenciesAndNatsEqualThoseOfTransformers) {
  const auto [model, name, window] = GetParam();
  const json golden = Golden("small.json");
  const json& one = Case(golden, name, model);
  const ModelFolder folder(SourcePath("tests/golden/transformers") / model, {});
  const auto ids = golden.at("ids").get<std::vector<int32_t>>();
  const RopeFactors factors = SmallFactors(one);
  ExpectEqualFrequencies(factors, {folder.config().shape.head_dim, folder.config().rope_base, 0},
                         one);
  ExpectEqualNats(Nats(folder, window, factors, ids), ExpectedOf(one));
}

INSTANTIATE_TEST_SUITE_P(Models, SmallGolden,
                         ::testing::Values(SmallCase{"llama", "none", true},
                                           SmallCase{"llama", "longrope", true},
                                           SmallCase{"mistral", "none_window", true},
                                           SmallCase{"mistral", "longrope_no_window", false}),
                         [](const auto& of) {
                           return std::string(of.param.model) + "_" + of.param.name;
                         });

class MissingRotation : public ::testing::TestWithParam<SmallCase> {};

// Taken out here as well, by factors that leave every angle at nothing, it meets the golden that
// transformers made without it: so the goldens with it would catch its loss.
TEST_P(MissingRotation, IsMissedByAHundredTolerances) {
  const auto [model, name, window] = GetParam();
  const json golden = Golden("small.json");
  const double with = Case(golden, name, model).at("total_nats");
  const json& without = Case(golden, "no_rotation", model);
  EXPECT_GT(std::abs(with - without.at("total_nats").get<double>()), 100 * kTolerance * with);
  const ModelFolder folder(SourcePath("tests/golden/transformers") / model, {});
  const RopeFactors still{std::vector<float>(8, 1e38f), 0, 1};
  ExpectEqualNats(Nats(folder, window, still, golden.at("ids").get<std::vector<int32_t>>()),
                  ExpectedOf(without));
}

INSTANTIATE_TEST_SUITE_P(Models, MissingRotation,
                         ::testing::Values(SmallCase{"llama", "none", true},
                                           SmallCase{"mistral", "none_window", true}),
                         [](const auto& of) { return std::string(of.param.model); });

TEST(SmallGolden, TheWindowAndTheAttentionFactorMatter) {
  const json golden = Golden("small.json");
  const auto ids = golden.at("ids").get<std::vector<int32_t>>();
  const ModelFolder folder(SourcePath("tests/golden/transformers/mistral"), {});
  const auto total = [&](bool window, double m) {
    const RopeFactors factors{std::vector<float>(8, 1.0f), 0, m};
    double sum = 0;
    for (double value : Nats(folder, window, factors, ids)) sum += value;
    return sum;
  };
  const double expected = total(true, 1);
  EXPECT_GT(std::abs(total(false, 1) - expected), 100 * kTolerance * expected);
  EXPECT_GT(std::abs(total(true, 1.1) - expected), 10 * kTolerance * expected);
}

// n-hat as transformers computes it by the model file that an export brings.
class StartTokensGolden : public ::testing::TestWithParam<const char*> {
 protected:
  // A few tokens carry all that n-hat changes, so totals are held to less than elsewhere.
  static constexpr double kTight = 1e-6;
  const bool tiny_ = std::string(GetParam()) == "tiny";
  const json golden_ = Golden("start_tokens.json");
  const json& case_ = Case(golden_, "start_tokens", GetParam());
  const ModelFolder folder_{SourcePath(tiny_ ? "data/tiny" : "tests/golden/transformers/mistral"),
                            {}};

  std::vector<double> NatsFrom(int64_t start_tokens) const {
    RopeFactors factors = LongRope(case_);
    factors.start_tokens = start_tokens;
    const auto ids = Golden(tiny_ ? "tiny.json" : "small.json").at("ids");
    return Nats(folder_, false, factors, ids.get<std::vector<int32_t>>());
  }
};

TEST_P(StartTokensGolden, NatsEqualThoseOfTransformers) {
  ExpectEqualNats(NatsFrom(case_.at("start_tokens")), ExpectedOf(case_), kTight);
}

// Ignored, it meets what transformers computes without the model file; one token more or less than
// n-hat is told apart as well.
TEST_P(StartTokensGolden, AnotherNumberOfThemIsMissedByFar) {
  const double expected = case_.at("total_nats");
  const auto total = [&](int64_t start_tokens) {
    double sum = 0;
    for (double value : NatsFrom(start_tokens)) sum += value;
    return sum;
  };
  const double ignored = total(0);
  EXPECT_TRUE(CloseRelative(ignored, case_.at("total_nats_without"), kTight));
  EXPECT_GT(std::abs(ignored - expected), 400 * kTight * expected);
  const int64_t start = case_.at("start_tokens");
  for (const int64_t near : {start - 1, start + 1}) {
    EXPECT_GT(std::abs(total(near) - expected), 10 * kTight * expected) << near;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, StartTokensGolden, ::testing::Values("tiny", "mistral"),
                         [](const auto& of) { return std::string(of.param); });

// Long and short contexts as transformers reads them. A token whose gain or likelihood lies at the
// rule's edge may fall on either side.
TEST(TransformersGolden, KeyTokensAreThoseOfTransformersLosses) {
  const auto ids = Golden("tiny.json").at("ids").get<std::vector<int32_t>>();
  const json golden = Golden("key_tokens.json");
  const auto first = golden.at("first").get<size_t>();
  const auto with_long = golden.at("long").get<std::vector<double>>();
  const auto with_short = golden.at("short").get<std::vector<double>>();
  const auto engine = MakeEngine({.name = "reference", .threads = 2});
  const ModelFolder folder(SourcePath("data/tiny"), {});
  const Scorer scorer(*engine, folder, {});
  const RopeShape shape = folder.config().Rope();
  const RopeFactors yarn = MethodFactors(RopeMethod::kYarn, shape, 8, 2048);
  const RopeFactors plain = MethodFactors(RopeMethod::kNone, shape, 1, 256);
  for (const KeyTokenRule& rule : {KeyTokenRule{0.5, -4}, KeyTokenRule{0.1, -6}}) {
    const auto key = *KeyTokens(
        ids, std::span(ids).first(1), static_cast<int64_t>(first), rule,
        [&](std::span<const int32_t> text) { return scorer.TokenNats(text, yarn); },
        [&](std::span<const int32_t> text) { return scorer.TokenNats(text, plain); });
    int found = 0, edge = 0;
    for (size_t i = first; i < ids.size(); ++i) {
      const double loss = with_long.at(i - first), gain = with_short.at(i - first) - loss;
      const bool wanted = gain > rule.gain && -loss > rule.floor;
      const bool at_edge = std::abs(gain - rule.gain) < 2e-3 || std::abs(loss + rule.floor) < 2e-3;
      edge += at_edge;
      found += wanted;
      EXPECT_TRUE(at_edge || (key[i] != 0) == wanted) << "token " << i;
    }
    EXPECT_GT(found, 50);
    EXPECT_LT(edge, 20);
  }
}

}  // namespace
}  // namespace longrope
