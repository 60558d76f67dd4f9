#include "search/factors/factor_file.h"

#include <algorithm>
#include <map>

#include "eval/errors.h"
#include "eval/model/model_limits.h"
#include "eval/number_text.h"
#include "eval/storage/files.h"
#include "search/factors/longrope_csv.h"

namespace longrope {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr int64_t kMaxFileBytes = 16 << 20;
constexpr const char* kProvenance[] = {"model_digest", "job_digest", "corpus", "scores"};

OrderedJson LambdaJson(const std::vector<float>& lambda) {
  OrderedJson list = OrderedJson::array();
  for (float value : lambda) list.push_back(ShortestDecimal(value));
  return list;
}

void AddFactors(OrderedJson* json, const FileBucket& bucket) {
  (*json)["lambda"] = LambdaJson(bucket.factors.lambda);
  (*json)["start_tokens"] = bucket.factors.start_tokens;
  (*json)["attention_factor"] = bucket.factors.attention_factor;
  if (!bucket.attention_policy.empty()) (*json)["attention_policy"] = bucket.attention_policy;
}

void RefuseUnknownKeys(const JsonObject& json, const std::vector<std::string>& known) {
  for (const std::string& key : json.Keys()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    std::string allowed;
    for (const std::string& name : known) allowed += (allowed.empty() ? "" : ", ") + name;
    json.Refuse(key, "no such key; allowed: " + allowed);
  }
}

FileBucket BucketOf(const JsonObject& json, const std::string& length_key) {
  FileBucket bucket;
  const auto lambda = json.Numbers("lambda");
  if (!lambda || lambda->empty()) json.Refuse("lambda", "missing; allowed: a list of numbers");
  for (double value : *lambda) {
    if (!(value >= 1e-3 && value <= 1e6)) {
      json.Refuse("lambda", Json(value).dump() + "; allowed: 0.001 to 1000000");
    }
    bucket.factors.lambda.push_back(static_cast<float>(value));
  }
  bucket.factors.start_tokens = json.Integer("start_tokens", 0, kMaxLength).value_or(0);
  bucket.factors.attention_factor = json.Number("attention_factor").value_or(1);
  if (!(bucket.factors.attention_factor >= 0.1 && bucket.factors.attention_factor <= 10)) {
    json.Refuse("attention_factor", "allowed: 0.1 to 10");
  }
  bucket.attention_policy = json.Text("attention_policy").value_or("");
  bucket.length = json.Integer(length_key, 1, kMaxLength).value_or(0);
  return bucket;
}

std::vector<FileBucket> BucketsOf(const JsonObject& json) {
  const Json& list = json.Raw("buckets");
  if (!list.is_array() || list.empty()) json.Refuse("buckets", "expected a list of objects");
  std::vector<FileBucket> buckets;
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonObject item(list[i], json.name() + ": buckets[" + std::to_string(i) + "]");
    RefuseUnknownKeys(item,
                      {"length", "lambda", "start_tokens", "attention_factor", "attention_policy"});
    buckets.push_back(BucketOf(item, "length"));
    const int64_t before = i == 0 ? 0 : buckets[i - 1].length;
    if (buckets.back().length <= before) item.Refuse("length", "must be there and increase");
    if (buckets.back().factors.lambda.size() != buckets.front().factors.lambda.size()) {
      item.Refuse("lambda", "all buckets must have equally many factors");
    }
  }
  return buckets;
}

}  // namespace

FactorSet FactorFile::Set() const {
  FactorSet set;
  for (const FileBucket& bucket : buckets) set.buckets.push_back({bucket.length, bucket.factors});
  return set;
}

std::string WriteFactorFile(const FactorFile& file) {
  OrderedJson json;
  AddFactors(&json, file.Longest());
  // What is unknown is left out: a reader would refuse a zero.
  if (file.original_length != 0) json["original_length"] = file.original_length;
  if (file.Longest().length != 0) json["target_length"] = file.Longest().length;
  if (file.rope_base != 0) json["rope_base"] = file.rope_base;
  if (file.head_dim != 0) json["head_dim"] = file.head_dim;
  if (file.buckets.size() > 1) {
    for (const FileBucket& bucket : file.buckets) {
      OrderedJson item;
      item["length"] = bucket.length;
      AddFactors(&item, bucket);
      json["buckets"].push_back(std::move(item));
    }
  }
  for (const char* key : kProvenance) {
    if (file.provenance.contains(key)) json[key] = file.provenance[key];
  }
  // Titles of documents come from file names, which need not be UTF-8.
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

FactorFile ParseFactorFile(std::string_view text, const std::string& name) {
  const JsonObject json(ParseJson(text, name), name);
  RefuseUnknownKeys(json, {"lambda", "start_tokens", "attention_factor", "attention_policy",
                           "original_length", "target_length", "rope_base", "head_dim", "buckets",
                           "model_digest", "job_digest", "corpus", "scores"});
  FactorFile file;
  file.buckets.push_back(BucketOf(json, "target_length"));
  if (json.Has("buckets")) file.buckets = BucketsOf(json);
  file.original_length = json.Integer("original_length", 1, kMaxLength).value_or(0);
  file.rope_base = json.Number("rope_base").value_or(0);
  if (json.Has("rope_base") && !(file.rope_base > 1)) {
    json.Refuse("rope_base", json.Raw("rope_base").dump() + "; allowed: above 1");
  }
  file.head_dim = static_cast<int>(json.Integer("head_dim", kMinHeadDim, kMaxHeadDim).value_or(0));
  const size_t pairs = file.Longest().factors.lambda.size();
  if (file.head_dim != 0 && pairs * 2 != static_cast<size_t>(file.head_dim)) {
    json.Refuse("lambda", "has " + std::to_string(pairs) + " elements; head_dim asks for " +
                              std::to_string(file.head_dim / 2));
  }
  for (const char* key : kProvenance) {
    if (json.Has(key)) file.provenance[key] = json.Raw(key);
  }
  return file;
}

FactorFile ReadFactorFile(const std::filesystem::path& path) {
  const std::string text = ReadFile(path, kMaxFileBytes);
  return path.extension() == ".csv" ? ParseLongropeCsv(text, path.string())
                                    : ParseFactorFile(text, path.string());
}

FactorFile Merged(const std::vector<FactorFile>& files) {
  FactorFile merged = files.back();
  std::map<int64_t, FileBucket> by_length;
  for (const FactorFile& file : files) {
    for (const FileBucket& bucket : file.buckets) by_length[bucket.length] = bucket;
    for (const char* key : {"corpus", "scores"}) {  // by stage
      if (file.provenance.contains(key)) merged.provenance[key].update(file.provenance[key]);
    }
  }
  merged.buckets.clear();
  for (auto& [length, bucket] : by_length) merged.buckets.push_back(std::move(bucket));
  return merged;
}

void CheckFactorsFit(const FactorFile& file, const std::string& name, const RopeShape& model) {
  const auto refuse = [&](const std::string& what, const auto& has, const auto& wants) {
    throw InputError(name + ": " + what + " is " + Json(has).dump() + ", the model's is " +
                     Json(wants).dump());
  };
  const auto pairs = static_cast<int>(file.Longest().factors.lambda.size());
  if (pairs != model.head_dim / 2) refuse("number of factors", pairs, model.head_dim / 2);
  if (file.rope_base != 0 && file.rope_base != model.base) {
    refuse("rope_base", file.rope_base, model.base);
  }
  if (file.original_length != 0 && model.original_length != 0 &&
      file.original_length != model.original_length) {
    refuse("original_length", file.original_length, model.original_length);
  }
}

}  // namespace longrope
