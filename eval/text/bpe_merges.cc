#include "eval/text/bpe_merges.h"

#include <algorithm>

namespace longrope {
namespace {

constexpr uint32_t kEnd = std::numeric_limits<uint32_t>::max();

struct Candidate {
  int32_t rank;
  uint32_t at;  // of the left symbol
};
// The heap's top is the candidate that joins first.
bool Later(const Candidate& a, const Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
}

struct Node {
  int32_t token;            // -1: joined to the one before
  uint32_t previous, next;  // kEnd at the ends
};

}  // namespace

BpeMerges::BpeMerges(const std::vector<Merge>& merges)
    : merges_(merges.size()), joints_(merges.size()) {
  int32_t ids = 0;
  for (const Merge& merge : merges) {
    merges_.Set(merge.left, merge.right, merge.rank, merge.product);
    ids = std::max({ids, merge.left + 1, merge.right + 1, merge.product + 1});
  }
  FindJoints(merges, ids);
}

// The first and last symbol of each product follow from how it is made. A product that can be made
// of different ends, or whose making goes in circles, makes everything inseparable; a symbol that
// is a product, too, is never separable from its neighbours (MayJoin).
void BpeMerges::FindJoints(const std::vector<Merge>& merges, int32_t ids) {
  constexpr int kMaxPasses = 64;  // one or two, unless merges stand before what they merge
  is_product_.assign(ids, 0);
  for (const Merge& merge : merges) is_product_[merge.product] = 1;
  std::vector<int32_t> first(ids), last(ids);
  for (int32_t id = 0; id < ids; ++id) first[id] = last[id] = is_product_[id] ? -1 : id;
  bool changed = true;
  for (int pass = 0; changed && pass < kMaxPasses; ++pass) {
    changed = false;
    for (const Merge& merge : merges) {
      const int32_t from = first[merge.left], to = last[merge.right];
      if (from < 0 || to < 0) continue;
      int32_t& start = first[merge.product];
      int32_t& end = last[merge.product];
      if (start < 0) {
        start = from;
        end = to;
        changed = true;
      } else if (start != from || end != to) {
        separable_ = false;
        return;
      }
    }
  }
  for (const Merge& merge : merges) {
    const int32_t left = last[merge.left], right = first[merge.right];
    if (left < 0 || right < 0) {
      separable_ = false;
      return;
    }
    joints_.Set(left, right, 0, 0);
  }
}

void BpeMerges::Apply(std::span<const int32_t> symbols, std::vector<Piece>* pieces) const {
  std::vector<Node> nodes(symbols.size());
  std::vector<Candidate> heap;
  const auto consider = [&](uint32_t at) {
    if (at == kEnd || nodes[at].next == kEnd) return false;
    const auto* merge = merges_.Find(nodes[at].token, nodes[nodes[at].next].token);
    if (merge != nullptr) heap.push_back({merge->rank, at});
    return merge != nullptr;
  };
  const auto count = static_cast<uint32_t>(symbols.size());
  for (uint32_t i = 0; i < count; ++i) {
    nodes[i] = {symbols[i], i == 0 ? kEnd : i - 1, i + 1 == count ? kEnd : i + 1};
  }
  for (uint32_t i = 0; i < count; ++i) consider(i);
  std::make_heap(heap.begin(), heap.end(), Later);
  while (!heap.empty()) {
    const Candidate top = heap.front();
    std::pop_heap(heap.begin(), heap.end(), Later);
    heap.pop_back();
    Node& node = nodes[top.at];
    if (node.token < 0 || node.next == kEnd) continue;
    const auto* merge = merges_.Find(node.token, nodes[node.next].token);
    if (merge == nullptr || merge->rank != top.rank) continue;  // its neighbours have changed
    node.token = merge->product;
    nodes[node.next].token = -1;
    node.next = nodes[node.next].next;
    if (node.next != kEnd) nodes[node.next].previous = top.at;
    if (consider(node.previous)) std::push_heap(heap.begin(), heap.end(), Later);
    if (consider(top.at)) std::push_heap(heap.begin(), heap.end(), Later);
  }
  pieces->clear();
  for (uint32_t i = 0; i < count; i = pieces->back().symbols + i) {
    const uint32_t next = nodes[i].next == kEnd ? count : nodes[i].next;
    pieces->push_back({nodes[i].token, next - i});
  }
}

}  // namespace longrope
