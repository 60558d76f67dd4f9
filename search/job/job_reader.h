// Visitors of job_schema.h: from YAML to options and back.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "search/job/job_schema.h"
#include "search/job/yaml_tree.h"

namespace longrope {

// Fills fields from one map. `path` leads to it in messages, e.g. "stages.extend.".
class MapReader {
 public:
  MapReader(const YamlNode& map, std::string path);

  template <class T>
  void operator()(const char* key, T& field, KeyRole, const Rule& rule) {
    keys_.push_back(key);
    const YamlNode* node = map_.Find(key);
    if (node != nullptr && !node->IsNull()) {
      Parse(*node, key, rule, field);
    } else if (rule.required && missing_.empty()) {
      missing_ = key;
    }
  }
  // Call after every key was visited: throws for a member that is none of them, then for a key that
  // must be there and is not (it may be misspelt).
  void Finish() const;
  // A key that is read in another way (a map, a list of maps).
  void Expect(const char* key) { keys_.push_back(key); }

 private:
  [[noreturn]] void Refuse(const YamlNode& at, const std::string& key,
                           const std::string& why) const;
  const std::string& Scalar(const YamlNode& node, const std::string& key) const;
  double Number(const YamlNode& node, const std::string& key, const Rule& rule) const;
  int64_t Whole(const YamlNode& node, const std::string& key, const Rule& rule) const;
  void Parse(const YamlNode& node, const std::string& key, const Rule& rule,
             std::string& field) const;
  void Parse(const YamlNode& node, const std::string& key, const Rule& rule, bool& field) const;
  void Parse(const YamlNode& node, const std::string& key, const Rule& rule, int& field) const;
  void Parse(const YamlNode& node, const std::string& key, const Rule& rule, int64_t& field) const;
  void Parse(const YamlNode& node, const std::string& key, const Rule& rule, double& field) const;
  template <class T>
  void Parse(const YamlNode& node, const std::string& key, const Rule& rule,
             std::optional<T>& field) const {
    Parse(node, key, rule, field.emplace());
  }
  template <class T>
  void Parse(const YamlNode& node, const std::string& key, const Rule& rule,
             std::vector<T>& field) const {
    if (node.kind != YamlNode::Kind::kList || node.items.empty()) {
      Refuse(node, key, "expected a list with at least one element, as [a, b]");
    }
    field.clear();
    for (const YamlNode& item : node.items) Parse(item, key, rule, field.emplace_back());
  }

  const YamlNode& map_;
  std::string path_;
  std::vector<std::string> keys_;
  std::string missing_;  // the first required key that is not there
};

// Appends fields of some roles to a map, in the order of the schema; unset optionals are left out.
class MapWriter {
 public:
  MapWriter(YamlNode* map, std::set<KeyRole> roles) : map_(map), roles_(std::move(roles)) {
    map_->kind = YamlNode::Kind::kMap;
  }

  template <class T>
  void operator()(const char* key, T& field, KeyRole role, const Rule&) {
    if (roles_.contains(role)) Write(key, field);
  }

 private:
  static YamlNode Node(const std::string& text);
  static YamlNode Node(bool flag);
  static YamlNode Node(int number);
  static YamlNode Node(int64_t number);
  static YamlNode Node(double number);
  template <class T>
  static YamlNode Node(const std::vector<T>& list) {
    YamlNode node;
    node.kind = YamlNode::Kind::kList;
    for (const T& item : list) node.items.push_back(Node(item));
    return node;
  }
  template <class T>
  void Write(const char* key, const T& field) {
    map_->members.emplace_back(key, Node(field));
  }
  template <class T>
  void Write(const char* key, const std::optional<T>& field) {
    if (field) Write(key, *field);
  }
  // An empty list is an unset one: no list that is read is empty.
  template <class T>
  void Write(const char* key, const std::vector<T>& field) {
    if (!field.empty()) map_->members.emplace_back(key, Node(field));
  }

  YamlNode* map_;
  std::set<KeyRole> roles_;
};

}  // namespace longrope
