// A byte-pair vocabulary: words to token ids.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "eval/text/bpe_merges.h"
#include "eval/text/bpe_stream.h"

namespace longrope {

struct BpeVocabulary {
  std::unordered_map<std::string, int32_t> ids;  // not negative, each once
  std::vector<Merge> merges;                     // by rank
  bool byte_level = false;     // tokens are bytes, written in GPT-2's alphabet of 256 letters
  bool ignore_merges = false;  // a word that is a token is that token
  bool byte_fallback =
      false;              // a character that is no token becomes the tokens of its bytes, <0xXX>
  bool fuse_unk = false;  // unknown characters side by side are one
  int32_t unk = -1;       // of unknown characters; -1: they are left out
};

class BpeModel {
 public:
  explicit BpeModel(BpeVocabulary vocabulary);

  // Appends the ids of words; of one text, from one thread.
  class Encoder {
   public:
    Encoder(const BpeModel& model, std::vector<int32_t>* tokens)
        : model_(model), tokens_(*tokens), stream_(model.merges_, tokens) {}
    void Add(std::string_view word);  // valid UTF-8, not empty

   private:
    void Unknown();

    const BpeModel& model_;
    std::vector<int32_t>& tokens_;
    BpeStream stream_;
    bool pending_ = false;  // an unknown character that may still grow
  };

 private:
  BpeVocabulary vocabulary_;
  std::unordered_map<std::string_view, int32_t> words_;  // by their text; if merges are ignored
  std::vector<std::string> texts_;                       // what words_ points into
  std::vector<int32_t> characters_;  // by code point (of GPT-2's alphabet: by byte), -1 for none
  std::vector<int32_t> bytes_;       // <0x00> to <0xFF>, -1 for none
  BpeMerges merges_;
};

// GPT-2's letter for a byte, as a code point: itself if it is printable Latin-1, else one of the 68
// from U+0100 on.
uint32_t ByteLetter(unsigned char byte);

}  // namespace longrope
