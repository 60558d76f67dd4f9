// YAML as people write job files: a tree of maps, lists and scalars that remembers where each
// stood. The only place, with its .cc, that names yaml-cpp.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace longrope {

struct YamlNode {
  enum class Kind { kScalar, kList, kMap };
  Kind kind = Kind::kScalar;
  // "file:line" (or what was given in the place of a file); of a value in a map, where its key is.
  std::string where;
  std::string text;  // of a scalar, quotes removed
  bool quoted = false;
  std::vector<YamlNode> items;                            // of a list
  std::vector<std::pair<std::string, YamlNode>> members;  // of a map, in the order written

  // Defined where the type is complete: members hold it.
  YamlNode();
  YamlNode(const YamlNode&);
  YamlNode(YamlNode&&) noexcept;
  YamlNode& operator=(const YamlNode&);
  YamlNode& operator=(YamlNode&&) noexcept;
  ~YamlNode();

  // A null ("key:" or "key: ~"): nothing is stated.
  bool IsNull() const {
    return kind == Kind::kScalar && !quoted && (text.empty() || text == "~" || text == "null");
  }
  // nullptr if a map has no such key.
  YamlNode* Find(const std::string& key);
  const YamlNode* Find(const std::string& key) const;
};

// Parses one document. Refused, as InputError "name:line: ...": syntax errors, duplicate keys,
// anchors, aliases and tags, keys that are not plain words, numbers with a leading zero (YAML
// readers disagree on their value), control characters, more than 64 KiB, several documents.
YamlNode ParseYaml(const std::string& text, const std::string& name);
YamlNode ReadYaml(const std::filesystem::path& path);

// The tree as YAML in block form.
std::string WriteYaml(const YamlNode& node);

}  // namespace longrope
