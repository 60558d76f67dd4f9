// The operators beside the paper's.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "search/mutation.h"
#include "search/operators/blend.h"
#include "search/operators/prefix_crossover.h"
#include "search/operators/scalar_redraw.h"
#include "search/operators/segment_scaling.h"
#include "search/operators/shift.h"
#include "search/seeds.h"
#include "tests/search/small_space.h"

namespace longrope {
namespace {

constexpr int kChildren = 100000;

SearchSpace Space() {
  return testing::SmallSpace(true, {0, 1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 64, 128, 256});
}

using Operator =
    std::function<Genome(const Genome& better, const Genome& other, const SearchSpace&, Rng&)>;

struct Named {
  const char* name;
  Operator make;
  // Some curves only have so many children of a kind: m and n-hat give 14 * 47.
  bool scalars_only = false;
};

const std::vector<Named>& Operators() {
  static const std::vector<Named> operators = {
      {"segment",
       [](auto& a, auto&, auto& space, auto& rng) { return ScaleSegment(a, space, rng); }},
      {"shift", [](auto& a, auto&, auto& space, auto& rng) { return Shift(a, space, rng); }},
      {"scalars",
       [](auto& a, auto&, auto& space, auto& rng) { return RedrawScalar(a, space, rng); }, true},
      {"blend", &Blend},
      {"prefix", &CrossPrefix},
  };
  return operators;
}

class CurveOperators : public ::testing::TestWithParam<size_t> {};

// As a search calls them: again until the child is new.
TEST_P(CurveOperators, AHundredThousandChildrenAreInSpaceMonotoneAndNew) {
  const Named& one = Operators()[GetParam()];
  const SearchSpace space = Space();
  GenomeSet known;
  std::vector<Genome> parents;
  const auto seeds = MethodSeeds({"pi", "ntk", "yarn"}, space, {64, 10000, 256}, 8, {});
  for (uint32_t i = 0; i < 200; ++i) {
    Rng rng(4, "parents", 0, i);
    parents.push_back(seeds[i % 3].genome);
    for (uint32_t sweep = 0; sweep < i % 5; ++sweep) Sweep(&parents.back(), space, 0.3, rng);
    known.insert(parents.back());
  }
  int made = 0;
  uint32_t tries = 0;
  for (; made < kChildren; ++tries) {
    ASSERT_LT(tries, 20u * kChildren) << one.name;
    Rng rng(5, one.name, 0, tries);
    const auto count = static_cast<uint32_t>(parents.size());
    const Genome& better = parents[rng.Below(count)];
    const Genome child = one.make(better, parents[rng.Below(count)], space, rng);
    ASSERT_TRUE(space.Contains(child)) << one.name;
    if (one.scalars_only) {
      ASSERT_EQ(child.steps, better.steps);
    }
    if (!known.insert(child).second) {
      if (one.scalars_only && tries % 50 == 0) parents.push_back(ScaleSegment(better, space, rng));
      continue;
    }
    ++made;
    if (made % 50 == 0) parents.push_back(child);
    if (one.scalars_only && made % 20 == 0) parents.push_back(ScaleSegment(better, space, rng));
  }
}

INSTANTIATE_TEST_SUITE_P(All, CurveOperators, ::testing::Range(size_t{0}, Operators().size()),
                         [](const auto& one) { return Operators()[one.param].name; });

Genome Ramp() {
  Genome genome{{}, 3, 10};
  for (int32_t i = 0; i < 32; ++i) genome.steps.push_back(20 * i);
  return genome;
}

TEST(ScaleSegment, ScalesAStretchByOneFactorAndLeavesWhatOrderDoesNotTouch) {
  const SearchSpace space = Space();
  const Genome parent = Ramp();
  int untouched = 0;
  for (uint32_t i = 0; i < 2000; ++i) {
    Rng rng(6, "segment", 0, i);
    const Genome child = ScaleSegment(parent, space, rng);
    EXPECT_EQ(child.start_index, parent.start_index);
    EXPECT_EQ(child.attention_step, parent.attention_step);
    for (size_t k = 0; k < 32; ++k) untouched += child.steps[k] == parent.steps[k];
  }
  EXPECT_GT(untouched, 2000 * 32 / 4);
  EXPECT_LT(untouched, 2000 * 32 * 3 / 4);
}

TEST(Shift, MovesTheCurveAlongThePairs) {
  const SearchSpace space = Space();
  const Genome parent = Ramp();
  double moved = 0, squares = 0;
  constexpr int kShifts = 4000;
  for (uint32_t i = 0; i < kShifts; ++i) {
    Rng rng(7, "shift", 0, i);
    const Genome child = Shift(parent, space, rng);
    // In the middle a ramp of 20 a pair is lower by 20 for every pair it moves to the right.
    const double by = (parent.steps[16] - child.steps[16]) / 20.0;
    EXPECT_NEAR((parent.steps[15] - child.steps[15]) / 20.0, by, 0.06);
    moved += by;
    squares += by * by;
  }
  EXPECT_NEAR(moved / kShifts, 0, 0.15);
  EXPECT_NEAR(std::sqrt(squares / kShifts), 2, 0.15);  // 32 / 16 pairs
}

TEST(Blend, LiesBetweenItsParentsOrBeyondTheBetterOne) {
  const SearchSpace space = Space();
  const Genome better{std::vector<int32_t>(32, 100), 0, 4},
      other{std::vector<int32_t>(32, 300), 2, 8};
  int beyond = 0;
  for (uint32_t i = 0; i < 3000; ++i) {
    Rng rng(8, "blend", 0, i);
    const Genome child = Blend(better, other, space, rng);
    EXPECT_LE(child.steps[7], 300);
    EXPECT_GE(child.steps[7], 41);  // 2 * (2 / 4)^0.5 = 1.414
    beyond += child.steps[7] < 100;
    EXPECT_GE(child.attention_step, 2);
    EXPECT_LE(child.attention_step, 8);
  }
  EXPECT_NEAR(beyond / 3000.0, 1.0 / 3, 0.04);
}

TEST(CrossPrefix, IsOneParentUpToACutAndTheOtherFromThere) {
  const SearchSpace space = Space();
  Genome better = Ramp(), other = Ramp();
  for (int32_t& step : other.steps) step += 7;
  for (uint32_t i = 0; i < 500; ++i) {
    Rng rng(9, "prefix", 0, i);
    const Genome child = CrossPrefix(better, other, space, rng);
    int changes = 0;
    for (size_t k = 1; k < 32; ++k) {
      const bool first = child.steps[k - 1] == other.steps[k - 1];
      changes += (child.steps[k] == other.steps[k]) != first;
    }
    EXPECT_EQ(changes, 1);
  }
}

TEST(RedrawScalar, ChangesOnlyWhatTheSpaceSearches) {
  SpaceOptions options;
  options.pairs = 32;
  options.bound = 10;
  options.start_tokens = {0, 4, 16, 64};
  const SearchSpace fixed(options);
  Genome parent = Ramp();
  parent.attention_step = 0;
  std::vector<int> starts(4);
  for (uint32_t i = 0; i < 400; ++i) {
    Rng rng(10, "scalar", 0, i);
    const Genome child = RedrawScalar(parent, fixed, rng);
    EXPECT_EQ(child.attention_step, 0);
    ++starts[static_cast<size_t>(child.start_index)];
  }
  for (int count : starts) EXPECT_GT(count, 60);
}

}  // namespace
}  // namespace longrope
