// Byte-pair merging: of all neighbours that have a merge the one of the lowest rank joins first, of
// equal ranks the leftmost, until none is left.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "eval/text/pair_table.h"

namespace longrope {

struct Merge {
  int32_t left = 0, right = 0, product = 0;  // token ids, not negative
  int32_t rank = 0;
};

// More than a vocabulary can have use for: each token is the product of some, and real files have
// two or three merges a token.
constexpr int64_t MostMerges(int64_t tokens) { return 8 * tokens + (1 << 12); }

class BpeMerges {
 public:
  // One token of a merged sequence, and how many symbols it covers.
  struct Piece {
    int32_t token;
    uint32_t symbols;
  };

  // Of two merges of the same pair the last one counts.
  explicit BpeMerges(const std::vector<Merge>& merges);

  // False where nothing can ever join across the boundary between two neighbouring symbols: what
  // stands on both sides may then be merged apart.
  bool MayJoin(int32_t left, int32_t right) const {
    return !separable_ || IsProduct(left) || IsProduct(right) || joints_.Find(left, right);
  }
  // Merges symbols into `pieces` (replaced). n log n in time; 44 bytes a symbol.
  void Apply(std::span<const int32_t> symbols, std::vector<Piece>* pieces) const;

 private:
  void FindJoints(const std::vector<Merge>& merges, int32_t ids);
  bool IsProduct(int32_t token) const {
    return static_cast<size_t>(token) < is_product_.size() && is_product_[token];
  }

  PairTable merges_;
  PairTable joints_;  // pairs of symbols that stand side by side within some product
  std::vector<uint8_t> is_product_;
  bool separable_ = true;
};

}  // namespace longrope
