#include "search/space.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <string>

namespace longrope {
namespace {

SpaceOptions Options() {
  SpaceOptions options;
  options.pairs = 4;
  options.bound = 10;
  options.start_tokens = {0, 1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 64, 128, 256};
  return options;
}

TEST(SearchSpace, EveryLambdaIsTheFloat32NearestToItsDecimal) {
  const SearchSpace space(Options());
  for (int32_t step = 0; step <= space.max_step(); ++step) {
    const std::string decimal = std::to_string((100 + step) / 100) + "." +
                                std::to_string((100 + step) % 100 + 100).substr(1);
    const Genome genome{std::vector<int32_t>(4, step), 0, 0};
    EXPECT_EQ(space.Decode(genome).lambda[2], std::strtof(decimal.c_str(), nullptr)) << decimal;
  }
  EXPECT_EQ(space.max_step(), 900);
}

TEST(SearchSpace, TheGridEndsAtTheBoundEvenWhereBinaryCannotHoldIt) {
  for (int hundredths = 100; hundredths < 5000; ++hundredths) {
    SpaceOptions options = Options();
    options.bound = hundredths / 100.0;
    EXPECT_EQ(SearchSpace(options).max_step(), hundredths - 100);
  }
}

TEST(SearchSpace, ContainsOnlyMonotoneStepsInRange) {
  const SearchSpace space(Options());
  EXPECT_TRUE(space.Contains({{0, 0, 5, 900}, 13, 0}));
  EXPECT_FALSE(space.Contains({{0, 5, 4, 900}, 0, 0}));
  EXPECT_FALSE(space.Contains({{0, 0, 5, 901}, 0, 0}));
  EXPECT_FALSE(space.Contains({{-1, 0, 5, 9}, 0, 0}));
  EXPECT_FALSE(space.Contains({{0, 0, 5}, 0, 0}));
  EXPECT_FALSE(space.Contains({{0, 0, 5, 9}, 14, 0}));
  EXPECT_FALSE(space.Contains({{0, 0, 5, 9}, -1, 0}));
  EXPECT_FALSE(space.Contains({{0, 0, 5, 9}, 0, 1}));  // m is not a gene here
}

TEST(SearchSpace, SnapRoundsClampsAndKeepsOrder) {
  const SearchSpace space(Options());
  const double lambda[] = {0.2, 3.004, 2.999, 77};
  const Genome genome = space.Snap(lambda, 27, 1.3);
  EXPECT_EQ(genome.steps, (std::vector<int32_t>{0, 200, 200, 900}));
  EXPECT_EQ(space.Decode(genome).start_tokens, 28);
  EXPECT_TRUE(space.Contains(genome));
}

TEST(SearchSpace, SnapOfDecodedIsTheSame) {
  const SearchSpace space(Options());
  const Genome genome{{1, 17, 300, 899}, 5, 0};
  const RopeFactors factors = space.Decode(genome);
  const std::vector<double> lambda(factors.lambda.begin(), factors.lambda.end());
  EXPECT_EQ(space.Snap(lambda, factors.start_tokens, 1), genome);
}

TEST(SearchSpace, ASearchedAttentionFactorIsOnItsGrid) {
  SpaceOptions options = Options();
  options.search_attention = true;
  options.attention_bound = 1.2345;
  const SearchSpace space(options);
  EXPECT_EQ(space.max_attention_step(), 23);
  EXPECT_EQ(space.Decode({{0, 0, 0, 0}, 0, 7}).attention_factor, 1.07);
  EXPECT_EQ(space.Snap(std::vector<double>(4, 1.0), 0, 1.0999).attention_step, 10);
}

TEST(SearchSpace, RefusesAnEmptySpace) {
  SpaceOptions options = Options();
  options.bound = 0.5;
  EXPECT_THROW(SearchSpace{options}, std::invalid_argument);
  options.bound = std::nan("");
  EXPECT_THROW(SearchSpace{options}, std::invalid_argument);
}

}  // namespace
}  // namespace longrope
