#include "eval/text/gguf_tokenizer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "eval/model/gguf_file.h"
#include "eval/text/tokenizer.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

namespace fs = std::filesystem;
using testing::SlurpFile;
using testing::SourcePath;
using testing::TempFolder;

fs::path GoldenPath(const std::string& name) {
  return SourcePath("tests/golden/tokenizers") / name;
}

std::vector<std::string> HardTexts() {
  std::vector<std::string> texts = {SlurpFile(GoldenPath("torture.txt")), "",
                                    SlurpFile(SourcePath("data/books/opticks.txt"))};
  for (const auto& text : nlohmann::json::parse(SlurpFile(GoldenPath("random.json")))) {
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

TEST(GgufTokenizer, GivesSentencePiecesIdsOfALlamaVocabulary) {
  const auto gguf = OpenTokenizer(GoldenPath("llama.gguf"), 4096);
  const auto own = OpenTokenizer(SourcePath("data/tiny"), 4096);
  for (const std::string& text : HardTexts()) EXPECT_EQ(gguf->Encode(text), own->Encode(text));
  EXPECT_EQ(gguf->Prefix(), std::vector<int32_t>{1});
}

TEST(GgufTokenizer, GivesTheIdsOfTheTokenizerJsonItComesFrom) {
  const TempFolder folder;
  fs::copy_file(GoldenPath("smollm2.json"), folder.path() / "tokenizer.json");
  const auto gguf = OpenTokenizer(GoldenPath("smollm2.gguf"), 1100);
  const auto own = OpenTokenizer(folder.path(), 1100);
  for (const std::string& text : HardTexts()) EXPECT_EQ(gguf->Encode(text), own->Encode(text));
  EXPECT_TRUE(gguf->Prefix().empty());
}

// A GGUF header written by hand: keys with texts, numbers and arrays.
class Header {
 public:
  Header& Text(const std::string& key, const std::string& value) {
    Key(key, 8);
    PutText(value);
    return *this;
  }
  Header& Flag(const std::string& key, bool value) {
    Key(key, 7);
    bytes_ += static_cast<char>(value);
    return *this;
  }
  Header& Number(const std::string& key, uint32_t value) {
    Key(key, 4);
    Put(value);
    return *this;
  }
  Header& Texts(const std::string& key, const std::vector<std::string>& values) {
    Array(key, 8, values.size());
    for (const auto& value : values) PutText(value);
    return *this;
  }
  template <class T>
  Header& Numbers(const std::string& key, uint32_t type, const std::vector<T>& values) {
    Array(key, type, values.size());
    for (const T value : values) Put(value);
    return *this;
  }
  std::unique_ptr<Tokenizer> Open(int64_t vocab = 100) const {
    const TempFolder folder;
    std::string file = "GGUF";
    const uint32_t version = 3;
    const uint64_t counts[] = {0, count_};
    file.append(reinterpret_cast<const char*>(&version), 4);
    file.append(reinterpret_cast<const char*>(counts), 16);
    testing::WriteFile(folder.path() / "x.gguf", file + bytes_);
    return OpenTokenizer(folder.path() / "x.gguf", vocab);
  }

 private:
  template <class T>
  void Put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void PutText(const std::string& text) {
    Put<uint64_t>(text.size());
    bytes_ += text;
  }
  void Key(const std::string& key, uint32_t type) {
    PutText("tokenizer.ggml." + key);
    Put(type);
    ++count_;
  }
  void Array(const std::string& key, uint32_t type, uint64_t count) {
    Key(key, 9);
    Put(type);
    Put(count);
  }

  std::string bytes_;
  uint64_t count_ = 0;
};

using Texts = std::vector<std::string>;
using Ints = std::vector<int32_t>;
using Floats = std::vector<float>;

// <unk> <s> </s> <0x41>, then pieces.
Header Pieces(const Texts& pieces, const Floats& scores) {
  Texts tokens = {"<unk>", "<s>", "</s>", "<0x41>"};
  tokens.insert(tokens.end(), pieces.begin(), pieces.end());
  Ints types = {2, 3, 3, 6};
  types.resize(tokens.size(), 1);
  Floats all(4);
  all.insert(all.end(), scores.begin(), scores.end());
  Header header;
  return header.Text("model", "llama")
      .Texts("tokens", tokens)
      .Numbers("token_type", 5, types)
      .Numbers("scores", 6, all);
}

TEST(GgufTokenizer, MergesTheBestScoreFirstAndOfEqualOnesTheLeftmost) {
  const Header header = Pieces({"\u2581", "a", "b", "ab", "ba", "aba"}, {-9, -9, -9, -1, -1, -2});
  EXPECT_EQ(header.Open()->Encode("aba"), (Ints{1, 4, 9}));
  EXPECT_EQ(header.Open()->Encode("bab"), (Ints{1, 4, 8, 6}));
  EXPECT_EQ(header.Open()->Encode("A<s>"), (Ints{1, 4, 3, 0}));  // three unknown ones are one
  EXPECT_EQ(header.Open()->Encode(""), Ints{1});
}

TEST(GgufTokenizer, HonoursItsFlags) {
  const auto ids = [](Header header) { return header.Open()->Encode("a"); };
  const Header header = Pieces({"\u2581", "a"}, {-1, -2});
  EXPECT_EQ(ids(header), (Ints{1, 4, 5}));
  EXPECT_EQ(ids(Header(header).Flag("add_space_prefix", false)), (Ints{1, 5}));
  EXPECT_EQ(ids(Header(header).Flag("add_bos_token", false)), (Ints{4, 5}));
  EXPECT_EQ(ids(Header(header).Number("bos_token_id", 2)), (Ints{2, 4, 5}));
  EXPECT_NE(header.Open()->Digest(), Header(header).Flag("add_bos_token", false).Open()->Digest());
  EXPECT_NE(header.Open()->Digest(), Pieces({"\u2581", "b"}, {-1, -2}).Open()->Digest());
}

TEST(GgufTokenizer, RefusesLlamaVocabulariesThatCannotBe) {
  const auto bytes = [](const std::string& token) {
    return Header().Text("model", "llama").Texts("tokens", {"<unk>", token});
  };
  for (const char* token : {"<0x-1>", "<0xZZ>", "<0x4>", "<0x041>", "<0xab>", "0x41", "<0x4 >"}) {
    EXPECT_REFUSED(
        bytes(token).Numbers("token_type", 5, Ints{2, 6}).Numbers("scores", 6, Floats{0, 0}).Open(),
        "tokenizer.ggml.tokens: element 1: '" + std::string(token) +
            "' is of type byte; allowed: <0x00> to <0xFF>");
  }
  EXPECT_REFUSED(bytes("a").Open(), "x.gguf: tokenizer.ggml.scores: missing");
  EXPECT_REFUSED(bytes("a").Numbers("scores", 6, Floats{0}).Open(),
                 "tokenizer.ggml.scores: 1 elements for 2 tokens");
  EXPECT_REFUSED(bytes("a").Numbers("scores", 5, Ints{0, 0}).Open(), "tokenizer.ggml.scores");
  EXPECT_REFUSED(bytes("a").Numbers("token_type", 5, Ints{1, 1, 1}).Open(),
                 "tokenizer.ggml.token_type: 3 elements for 2 tokens");
  EXPECT_REFUSED(bytes("a").Numbers("token_type", 5, Ints{1, 7}).Open(),
                 "tokenizer.ggml.token_type");
  EXPECT_REFUSED(bytes("a").Numbers("token_type", 6, Floats{1, 1}).Open(),
                 "tokenizer.ggml.token_type");
  EXPECT_REFUSED(bytes("<unk>").Numbers("scores", 6, Floats{0, 0}).Open(),
                 "element 1: '<unk>' is element 0 already");
  EXPECT_REFUSED(bytes("\xff").Numbers("scores", 6, Floats{0, 0}).Open(),
                 "element 1: is not UTF-8");
  EXPECT_REFUSED(bytes(std::string(513, 'a')).Numbers("scores", 6, Floats{0, 0}).Open(),
                 "element 1: 513 bytes; allowed: up to 512");
  EXPECT_REFUSED(Pieces({"a"}, {0}).Open(4), "tokenizer.ggml.tokens: 5 tokens; the model has 4");
  EXPECT_REFUSED(Pieces({"a"}, {0}).Number("bos_token_id", 5).Open(),
                 "tokenizer.ggml.bos_token_id");
}

TEST(GgufTokenizer, RefusesByteLevelVocabulariesThatCannotBe) {
  const Header header = Header().Text("model", "gpt2").Texts("tokens", {"a", "b", "ab"});
  const auto merges = [&](const Texts& list) { return Header(header).Texts("merges", list); };
  EXPECT_EQ(merges({"a b"}).Open()->Encode("aab"), (Ints{0, 2}));
  EXPECT_REFUSED(header.Open(), "tokenizer.ggml.merges: missing");
  EXPECT_REFUSED(merges({"a c"}).Open(), "tokenizer.ggml.merges: element 0: 'c' is no token");
  EXPECT_REFUSED(merges({"a b", "b a"}).Open(), "element 1: 'ba' is no token");
  EXPECT_REFUSED(merges({"ab"}).Open(), "element 0: expected two tokens and a space between");
  EXPECT_REFUSED(merges(Texts(5000, "a b")).Open(),
                 "tokenizer.ggml.merges: 5000 merges for 3 tokens; allowed: up to 4120");
  // Before the tokens are looked at, which may be many.
  EXPECT_REFUSED(
      Header().Text("model", "gpt2").Texts("tokens", {"a", "a"}).Texts("merges", {"a"}).Open(),
      "element 0: expected two tokens");
  EXPECT_REFUSED(merges({"a b c"}).Open(), "element 0: expected two tokens");
  EXPECT_REFUSED(Header(header).Numbers("merges", 5, Ints{1}).Open(), "tokenizer.ggml.merges");
  EXPECT_REFUSED(merges({"a b"}).Text("pre", "dbrx").Open(),
                 "tokenizer.ggml.pre: 'dbrx'; allowed: default, gpt-2, llama-bpe");
  EXPECT_REFUSED(merges({"a b"}).Flag("add_bos_token", true).Open(),
                 "tokenizer.ggml.bos_token_id: missing, but a BOS is to be added");
  EXPECT_REFUSED(Header().Text("model", "t5").Texts("tokens", {"a"}).Open(),
                 "tokenizer.ggml.model: 't5'; allowed: llama, gpt2");
  EXPECT_REFUSED(Header().Text("model", "gpt2").Open(), "tokenizer.ggml.tokens: missing");
}

}  // namespace
}  // namespace longrope
