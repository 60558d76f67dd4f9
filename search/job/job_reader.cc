#include "search/job/job_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "eval/errors.h"
#include "eval/number_text.h"
#include "search/job/suggest.h"

namespace longrope {
namespace {

std::string RangeText(const Rule& rule) {
  if (std::isinf(rule.low) && std::isinf(rule.high)) return "any number";
  return NumberText(rule.low) + " to " + NumberText(rule.high);
}

template <class T>
std::optional<T> ParseNumber(const std::string& text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

bool IsPlainName(const std::string& text) {
  return !text.empty() && text.size() <= 100 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

bool IsAttention(const std::string& text) {
  if (text == "longrope" || text == "yarn" || text == "none" || text == "search") return true;
  const auto number = ParseNumber<double>(text);
  return number && *number >= 0.1 && *number <= 10;
}

MapReader::MapReader(const YamlNode& map, std::string path) : map_(map), path_(std::move(path)) {
  if (map.kind != YamlNode::Kind::kMap) {
    const std::string what = path_.empty() ? "the job" : path_.substr(0, path_.size() - 1);
    throw InputError(map.where + ": " + what + ": expected \"key: value\" lines");
  }
}

void MapReader::Refuse(const YamlNode& at, const std::string& key, const std::string& why) const {
  throw InputError(at.where + ": " + path_ + key + ": " + why);
}

void MapReader::Finish() const {
  for (const auto& [key, value] : map_.members) {
    if (std::ranges::find(keys_, key) != keys_.end()) continue;
    throw InputError(value.where + ": " + path_ + key + ": no such key; the nearest is '" +
                     NearestName(key, keys_) + "'; allowed: " + Joined(keys_));
  }
  if (!missing_.empty()) Refuse(map_, missing_, "is missing");
}

const std::string& MapReader::Scalar(const YamlNode& node, const std::string& key) const {
  if (node.kind != YamlNode::Kind::kScalar) Refuse(node, key, "expected a single value");
  return node.text;
}

double MapReader::Number(const YamlNode& node, const std::string& key, const Rule& rule) const {
  const auto number = ParseNumber<double>(Scalar(node, key));
  if (!number || !(*number >= rule.low && *number <= rule.high)) {
    Refuse(node, key, node.text + "; allowed: " + RangeText(rule));
  }
  return *number;
}

int64_t MapReader::Whole(const YamlNode& node, const std::string& key, const Rule& rule) const {
  const auto number = ParseNumber<int64_t>(Scalar(node, key));
  if (!number ||
      !(static_cast<double>(*number) >= rule.low && static_cast<double>(*number) <= rule.high)) {
    Refuse(node, key, node.text + "; allowed: whole numbers, " + RangeText(rule));
  }
  return *number;
}

void MapReader::Parse(const YamlNode& node, const std::string& key, const Rule& rule,
                      std::string& field) const {
  field = Scalar(node, key);
  const bool named = rule.names.empty() || std::ranges::find(rule.names, field) != rule.names.end();
  if (!named || (rule.accepts != nullptr && !rule.accepts(field))) {
    Refuse(node, key,
           "'" + field + "'; allowed: " + (rule.names.empty() ? rule.allowed : Joined(rule.names)));
  }
}

void MapReader::Parse(const YamlNode& node, const std::string& key, const Rule&,
                      bool& field) const {
  const std::string& text = Scalar(node, key);
  if (text != "true" && text != "false") Refuse(node, key, text + "; allowed: true, false");
  field = text == "true";
}

void MapReader::Parse(const YamlNode& node, const std::string& key, const Rule& rule,
                      int& field) const {
  field = static_cast<int>(Whole(node, key, rule));
}
void MapReader::Parse(const YamlNode& node, const std::string& key, const Rule& rule,
                      int64_t& field) const {
  field = Whole(node, key, rule);
}
void MapReader::Parse(const YamlNode& node, const std::string& key, const Rule& rule,
                      double& field) const {
  field = Number(node, key, rule);
}

YamlNode MapWriter::Node(const std::string& text) {
  YamlNode node;
  node.text = text;
  // Plain words stay plain; whatever YAML might read as something else is quoted.
  node.quoted = !IsPlainName(text) || text == "true" || text == "false" || text == "null" ||
                (text[0] >= '0' && text[0] <= '9') || text[0] == '-';
  return node;
}
YamlNode MapWriter::Node(bool flag) {
  YamlNode node;
  node.text = flag ? "true" : "false";
  return node;
}
YamlNode MapWriter::Node(int number) { return Node(int64_t{number}); }
YamlNode MapWriter::Node(int64_t number) {
  YamlNode node;
  node.text = std::to_string(number);
  return node;
}
YamlNode MapWriter::Node(double number) {
  YamlNode node;
  node.text = NumberText(number);
  return node;
}

}  // namespace longrope
