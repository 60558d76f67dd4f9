// What a hostile or unknown tokenizer.json is refused with.
#include "eval/text/tokenizer_json.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::SlurpFile;
using testing::SourcePath;
using testing::TempFolder;

std::string GoldenText(const std::string& style) {
  return SlurpFile(SourcePath("tests/golden/tokenizers") / (style + ".json"));
}

BpeDescription ReadText(const std::string& text, int64_t vocab = 1100, const BosChoice& bos = {}) {
  const TempFolder folder;
  testing::WriteFile(folder.path() / "tokenizer.json", text);
  return ReadTokenizerJson(folder.path() / "tokenizer.json", bos, vocab);
}

using Change = std::function<void(Json& root)>;

// gpt2.json, changed.
std::string Changed(const Change& change) {
  Json root = Json::parse(GoldenText("gpt2"));
  change(root);
  return root.dump();
}

struct Case {
  Change change;
  const char* message;
};

void ExpectRefused(const std::vector<Case>& cases) {
  for (const Case& one : cases) EXPECT_REFUSED(ReadText(Changed(one.change)), one.message);
}

TEST(TokenizerJson, ReadsTheStylesAsTheyAre) {
  for (const char* style : {"gpt2", "smollm2", "llama3", "qwen2", "llama2"}) {
    EXPECT_GT(ReadText(GoldenText(style)).vocabulary.merges.size(), 500u) << style;
  }
}

TEST(TokenizerJson, ReadsMergesInBothForms) {
  const auto pairs = ReadText(GoldenText("gpt2"));
  const auto texts = ReadText(Changed([](Json& root) {
    for (Json& merge : root["model"]["merges"]) {
      merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    }
  }));
  ASSERT_EQ(texts.vocabulary.merges.size(), pairs.vocabulary.merges.size());
  for (size_t i = 0; i < pairs.vocabulary.merges.size(); ++i) {
    EXPECT_EQ(texts.vocabulary.merges[i].product, pairs.vocabulary.merges[i].product);
  }
}

TEST(TokenizerJson, RefusesPartsItDoesNotKnow) {
  ExpectRefused({
      {[](Json& root) { root["model"]["type"] = "Unigram"; },
       "tokenizer.json: model: type: 'Unigram'; allowed: BPE"},
      {[](Json& root) {
         root["normalizer"] = {{"type", "Lowercase"}};
       },
       "tokenizer.json: normalizer: type: 'Lowercase'; allowed: Prepend, Replace, NFC"},
      {[](Json& root) {
         root["pre_tokenizer"] = {{"type", "Whitespace"}};
       },
       "tokenizer.json: pre_tokenizer: type: 'Whitespace'; allowed: ByteLevel, Split"},
      {[](Json& root) {
         root["post_processor"] = {{"type", "BertProcessing"}};
       },
       "tokenizer.json: post_processor: type: 'BertProcessing'; allowed: ByteLevel"},
      {[](Json& root) { root["new_part"] = 1; }, "tokenizer.json: new_part: unknown key"},
      {[](Json& root) { root["model"]["shuffle"] = true; }, "model: 'shuffle': unknown key"},
      {[](Json& root) { root["model"]["dropout"] = 0.1; }, "model: dropout: makes ids random"},
      {[](Json& root) { root["model"]["end_of_word_suffix"] = "</w>"; },
       "model: end_of_word_suffix: not supported"},
      {[](Json& root) { root["model"]["byte_fallback"] = true; }, "model: byte_fallback: true"},
      {[](Json& root) { root["added_tokens"][0]["single_word"] = true; },
       "added_tokens: entry 0: single_word: true is not supported"},
      {[](Json& root) {
         root["pre_tokenizer"] = {
             {"type", "Sequence"},
             {"pretokenizers",
              {root["pre_tokenizer"], {{"type", "Digits"}, {"individual_digits", true}}}}};
       },
       "pre_tokenizer: pretokenizers: entry 1: type: 'Digits' after ByteLevel"},
      {[](Json& root) {
         root["pre_tokenizer"] = {{"type", "Split"},
                                  {"pattern", {{"Regex", "(a"}}},
                                  {"behavior", "Isolated"},
                                  {"invert", false}};
       },
       "pre_tokenizer: pattern: Regex: PCRE2 cannot compile"},
  });
}

TEST(TokenizerJson, RefusesIdsThatCannotBe) {
  ExpectRefused({
      {[](Json& root) { root["model"]["vocab"]["the"] = -1; },
       "model: vocab: 'the' has id '-1'; allowed: whole numbers from 0 to 1099 (vocab_size)"},
      {[](Json& root) { root["model"]["vocab"]["the"] = 1100; }, "'the' has id '1100'"},
      {[](Json& root) { root["model"]["vocab"]["the"] = 4294967296; }, "has id '4294967296'"},
      {[](Json& root) { root["model"]["vocab"]["the"] = 18446744073709551615u; },
       "has id '18446744073709551615'"},
      {[](Json& root) { root["model"]["vocab"]["the"] = 1.5; }, "'the' has id '1.5'"},
      {[](Json& root) { root["model"]["vocab"]["the"] = "7"; }, "'the' has id '\"7\"'"},
      {[](Json& root) { root["model"]["vocab"]["the"] = 5; }, "both have id 5"},
      {[](Json& root) { root["model"]["vocab"] = Json::array(); }, "model: vocab: expected an"},
      {[](Json& root) { root["added_tokens"][0]["id"] = -3; }, "added_tokens: entry 0: id: -3;"},
      {[](Json& root) { root["added_tokens"][0]["id"] = 1100; }, "entry 0: id: 1100; allowed"},
      {[](Json& root) { root["added_tokens"][0]["id"] = 9; }, "entry 0: id: 9 is '"},
      {[](Json& root) { root["added_tokens"][0]["id"] = 1099; },
       "entry 0: id: the vocabulary says 0"},
      {[](Json& root) { root["added_tokens"][0]["content"] = ""; }, "entry 0: content: expected"},
      {[](Json& root) { root["added_tokens"].push_back(root["added_tokens"][0]); },
       "entry 3: content: '<|endoftext|>' stands twice"},
      {[](Json& root) { root["model"]["unk_token"] = "<none>"; },
       "model: unk_token: '<none>' is not in vocab"},
  });
}

TEST(TokenizerJson, RefusesMergesOfWhatIsNotThere) {
  ExpectRefused({
      {[](Json& root) {
         root["model"]["merges"][7] = {"q", "zzz"};
       },
       "model: merges: entry 7: 'zzz' is not in vocab"},
      {[](Json& root) {
         root["model"]["merges"][7] = {"q", "~"};
       },
       "entry 7: 'q~' is not in vocab"},
      {[](Json& root) {
         root["model"]["merges"][7] = {"", "q"};
       },
       "entry 7: '' is not in vocab"},
      {[](Json& root) { root["model"]["merges"][7] = "a b c"; }, "entry 7: expected two tokens"},
      {[](Json& root) { root["model"]["merges"][7] = "ab"; }, "entry 7: expected two tokens"},
      {[](Json& root) { root["model"]["merges"][7] = {"a"}; }, "entry 7: expected two tokens"},
      {[](Json& root) { root["model"]["merges"][7] = 7; }, "entry 7: expected two tokens"},
      {[](Json& root) { root["model"].erase("merges"); }, "model: merges: expected a list"},
  });
}

TEST(TokenizerJson, RefusesWhatIsNoJson) {
  const std::string whole = GoldenText("gpt2");
  std::string nul = whole;
  nul[whole.size() / 2] = '\0';
  const std::pair<std::string, const char*> cases[] = {
      {"", "not valid JSON"},
      {whole.substr(0, whole.size() / 2), "not valid JSON"},
      {nul, "not valid JSON: NUL at byte"},
      {std::string(100'000, '['), "expected a JSON object"},
      {R"({"model": )" + std::string(100'000, '[') + std::string(100'000, ']') + "}",
       "nested deeper than 64 levels"},
      {R"({"version": "\ud800"})", "not valid JSON"},
      {"{\"version\": \"\xff\"}", "not valid JSON"},
      {R"({"model": {"vocab": {"a": 1, "a": 2}}})", "key 'a' stands twice"},
      {"[]", "expected a JSON object"},
      {"{}", "model: expected a JSON object"},
      {std::string(1000, '\0'), "not valid JSON"}};
  for (const auto& one : cases) EXPECT_REFUSED(ReadText(one.first), one.second);
}

// Refused for its beginning alone: what would be a fault further on is not reached.
TEST(TokenizerJson, RefusesWhatIsTooLargeWhileItReads) {
  const auto many = [](int count, const std::string& value) {
    std::string list;
    for (int i = 0; i < count; ++i) list += value + ",";
    return list;
  };
  std::string tokens;
  for (int i = 0; i < 11; ++i) tokens += "\"" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  EXPECT_REFUSED(ReadText("[0,"), "expected a JSON object");
  EXPECT_REFUSED(ReadText(R"({"a":[0,)"), "a: unknown key");
  EXPECT_REFUSED(ReadText(R"({"model":{"vocab":{)" + tokens, 10),
                 "too large: allowed are 10 tokens (vocab_size)");
  for (const char* merge : {"0", "\"a b\"", "[\"a\",\"b\"]"}) {
    EXPECT_REFUSED(ReadText(R"({"model":{"merges":[)" + many(5000, merge), 10),
                   "too large: allowed are 4176 merges");
  }
  EXPECT_REFUSED(ReadText(R"({"model":{"merges":[[)" + many(9000, "0"), 10),
                 "too large: allowed are 8352 halves of merges");
  for (const char* begin : {R"({"added_tokens":[)", R"({"model":{"vocab":{"a":[)",
                            R"({"model":{"unk_token":[)", R"({"decoder":{"a":[[)"}) {
    EXPECT_REFUSED(ReadText(begin + many(300'000, "0"), 10),
                   "too large: allowed are 262144 values");
  }
}

TEST(TokenizerJson, TakesAByteOrderMarkAndGapsBetweenIds) {
  EXPECT_EQ(ReadText("\xef\xbb\xbf" + GoldenText("gpt2")).vocabulary.merges.size(),
            ReadText(GoldenText("gpt2")).vocabulary.merges.size());
  const auto moved = ReadText(Changed([](Json& root) { root["model"]["vocab"]["the"] = 1099; }));
  EXPECT_EQ(moved.vocabulary.ids.at("the"), 1099);
}

TEST(TokenizerJson, RefusesABosThatIsNotThere) {
  EXPECT_REFUSED(ReadText(GoldenText("gpt2"), 1100, {.add = true, .token = {}}),
                 "tokenizer_config.json: add_bos_token: true, but there is no bos_token");
  EXPECT_REFUSED(ReadText(GoldenText("gpt2"), 1100, {.add = true, .token = "<none>"}),
                 "tokenizer_config.json: bos_token: there is no token '<none>'");
}

TEST(TokenizerJson, RefusesTemplatesThatCannotBe) {
  const auto changed = [](const char* pointer, const Json& value) {
    Json root = Json::parse(GoldenText("llama3"));
    root[Json::json_pointer(pointer)] = value;
    return root.dump();
  };
  EXPECT_REFUSED(ReadText(changed("/post_processor/single", Json::array())),
                 "post_processor: single: has no Sequence");
  EXPECT_REFUSED(ReadText(changed("/post_processor/special_tokens", Json::object())),
                 "post_processor: special_tokens: <|begin_of_text|>: missing");
  EXPECT_REFUSED(ReadText(changed("/post_processor/special_tokens/<|begin_of_text|>/ids", {1100})),
                 "ids: allowed: whole numbers from 0 to 1099");
}

}  // namespace
}  // namespace longrope
