// What stands under a pair of token ids: a hash table that is filled once and read often.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace longrope {

class PairTable {
 public:
  struct Entry {
    uint64_t key = kNone;
    int32_t rank = 0;
    int32_t product = 0;
  };

  // Room for `count` pairs.
  explicit PairTable(size_t count) {
    size_t slots = 16;
    while (slots < 2 * count) slots *= 2;
    entries_.resize(slots);
  }
  // Sets or replaces; ids are not negative. At most `count` different pairs.
  void Set(int32_t left, int32_t right, int32_t rank, int32_t product) {
    Entry& entry = entries_[Slot(Key(left, right))];
    entry = {Key(left, right), rank, product};
  }
  const Entry* Find(int32_t left, int32_t right) const {
    const Entry& entry = entries_[Slot(Key(left, right))];
    return entry.key == kNone ? nullptr : &entry;
  }

 private:
  static constexpr uint64_t kNone = ~uint64_t{0};

  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  // The slot that holds the key, or the free one where it would stand.
  size_t Slot(uint64_t key) const {
    uint64_t hash = key * 0x9E3779B97F4A7C15u;  // 2^64 over the golden ratio: Fibonacci hashing
    hash ^= hash >> 29;
    size_t slot = hash & (entries_.size() - 1);
    while (entries_[slot].key != key && entries_[slot].key != kNone) {
      slot = (slot + 1) & (entries_.size() - 1);
    }
    return slot;
  }

  std::vector<Entry> entries_;
};

}  // namespace longrope
