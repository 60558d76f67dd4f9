// Merges a long sequence of symbols in bounded memory, and short ones once each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "eval/text/bpe_merges.h"

namespace longrope {

// The ids are those of merging everything between two Ends at once. What nothing can join is merged
// apart and remembered (at most 2^16 sequences); what is longer than 2^16 symbols is merged window
// by window: merging's result is right if each two neighbours in it stay two when merged alone,
// which is checked where windows meet. Memory: some 20 MB, whatever the length.
class BpeStream {
 public:
  // Appends to `tokens`; both must outlive this.
  BpeStream(const BpeMerges& merges, std::vector<int32_t>* tokens)
      : merges_(merges), tokens_(*tokens) {}
  void Push(int32_t symbol);
  void End();  // of a word. Throws InputError where merges reach over a whole window

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
  };

  void Flush();
  void Emit(size_t context);
  void CheckJoint() const;

  const BpeMerges& merges_;
  std::vector<int32_t>& tokens_;
  std::vector<int32_t> symbols_;   // not merged yet
  std::vector<int32_t> previous_;  // symbols of the last token of the window before; or none
  std::vector<BpeMerges::Piece> pieces_;
  std::unordered_map<std::string, std::vector<int32_t>, Hash, std::equal_to<>> known_;
};

}  // namespace longrope
