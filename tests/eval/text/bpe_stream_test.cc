#include "eval/text/bpe_stream.h"

#include <gtest/gtest.h>

#include <random>

#include "eval/errors.h"

namespace longrope {
namespace {

// Merges at random among `base` symbols: each of two tokens that are there already.
std::vector<Merge> RandomMerges(std::mt19937& random, int32_t base, int count) {
  std::vector<Merge> merges;
  for (int32_t i = 0; i < count; ++i) {
    const auto draw = [&] { return static_cast<int32_t>(random() % (base + i)); };
    merges.push_back({draw(), draw(), base + i, i});
  }
  return merges;
}

// The definition: of all neighbours the lowest rank, of equal ones the leftmost, again and again.
std::vector<int32_t> MergedNaively(const std::vector<Merge>& merges, std::vector<int32_t> tokens) {
  for (;;) {
    const Merge* best = nullptr;
    size_t at = 0;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const Merge* found = nullptr;
      for (const Merge& merge : merges) {
        if (merge.left == tokens[i] && merge.right == tokens[i + 1]) found = &merge;
      }
      if (found == nullptr || (best != nullptr && found->rank >= best->rank)) continue;
      best = found;
      at = i;
    }
    if (best == nullptr) return tokens;
    tokens[at] = best->product;
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

std::vector<int32_t> Streamed(const BpeMerges& merges, const std::vector<int32_t>& symbols) {
  std::vector<int32_t> tokens;
  BpeStream stream(merges, &tokens);
  for (int twice = 0; twice < 2; ++twice) {  // the second time from what it remembers
    tokens.clear();
    for (const int32_t symbol : symbols) stream.Push(symbol);
    stream.End();
  }
  return tokens;
}

TEST(BpeStream, MergesByTheDefinition) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 2000; ++trial) {
    const auto base = static_cast<int32_t>(1 + random() % 5);
    const auto merges = RandomMerges(random, base, static_cast<int>(random() % 12));
    std::vector<int32_t> symbols(random() % 90);
    for (int32_t& symbol : symbols) symbol = static_cast<int32_t>(random() % base);
    EXPECT_EQ(Streamed(BpeMerges(merges), symbols), MergedNaively(merges, symbols)) << trial;
  }
}

TEST(BpeStream, MergesAtRanksThatAreEqualFromTheLeft) {
  std::mt19937 random(2);
  for (int trial = 0; trial < 500; ++trial) {
    auto merges = RandomMerges(random, 3, 8);
    for (Merge& merge : merges) merge.rank = static_cast<int32_t>(random() % 3);
    // One merge a pair: which of two counts is another matter.
    for (size_t i = 0; i < merges.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (merges[i].left == merges[j].left && merges[i].right == merges[j].right) {
          merges[i] = merges[j];
        }
      }
    }
    std::vector<int32_t> symbols(random() % 60);
    for (int32_t& symbol : symbols) symbol = static_cast<int32_t>(random() % 3);
    EXPECT_EQ(Streamed(BpeMerges(merges), symbols), MergedNaively(merges, symbols)) << trial;
  }
}

TEST(BpeStream, MergesWindowsAsItWouldTheWhole) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 8; ++trial) {
    const auto list = RandomMerges(random, 2, 40);
    const BpeMerges merges(list);
    std::vector<int32_t> symbols(400'000);
    for (int32_t& symbol : symbols) {
      symbol = static_cast<int32_t>(random() % (trial % 2 == 0 ? 2 : 1));
    }
    std::vector<BpeMerges::Piece> pieces;
    merges.Apply(symbols, &pieces);
    std::vector<int32_t> whole;
    for (const auto& piece : pieces) whole.push_back(piece.token);
    EXPECT_EQ(Streamed(merges, symbols), whole) << trial;
  }
}

// Merges (i, i+1) at ever lower ranks: which of them happen follows from where the sequence ends.
TEST(BpeStream, RefusesWhatDependsOnMoreThanItSees) {
  constexpr int32_t kLength = 100'000;
  std::vector<Merge> merges;
  std::vector<int32_t> symbols(kLength);
  for (int32_t i = 0; i < kLength; ++i) symbols[i] = i;
  for (int32_t i = 0; i + 1 < kLength; ++i) merges.push_back({i, i + 1, kLength + i, kLength - i});
  const BpeMerges joined(merges);
  std::vector<BpeMerges::Piece> pieces;
  for (const int32_t length : {kLength, kLength - 1}) {
    symbols.resize(length);
    joined.Apply(symbols, &pieces);
    std::vector<int32_t> whole;
    for (const auto& piece : pieces) whole.push_back(piece.token);
    try {
      EXPECT_EQ(Streamed(joined, symbols), whole);
    } catch (const InputError&) {
      EXPECT_EQ(length % 2, 1);  // refused, never wrong
    }
  }
}

}  // namespace
}  // namespace longrope
