#include "search/job/yaml_tree.h"

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cctype>
#include <sstream>

#include "eval/errors.h"
#include "eval/storage/files.h"
#include "eval/text/utf8.h"

namespace longrope {
namespace {

constexpr int64_t kMaxBytes = 64 << 10;

// "010" is 8 to one YAML reader and 10 to the next.
bool LooksOctal(const std::string& text) {
  const size_t first = text.find_first_not_of("+-");
  if (first == std::string::npos || text[first] != '0' || text.size() == first + 1) return false;
  const bool marked = text[first + 1] == 'o';
  const std::string rest = text.substr(first + (marked ? 2 : 1));
  return std::isdigit(static_cast<unsigned char>(rest[0])) &&
         rest.find_first_not_of("0123456789._") == std::string::npos;
}

// Builds the tree from the parser's events.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& name) : name_(name) { root_.where = name + ":1"; }
  YamlNode Take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Refuse(mark, anchor, "");
    Add(Node(YamlNode::Kind::kScalar, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw InputError(Where(mark) + ": aliases (*name) are not allowed");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Refuse(mark, anchor, tag);
    YamlNode node = Node(YamlNode::Kind::kScalar, mark);
    node.text = value;
    node.quoted = tag == "!";
    if (!node.quoted && LooksOctal(value)) {
      throw InputError(node.where + ": " + value + ": numbers with a leading zero are not allowed");
    }
    Add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Refuse(mark, anchor, tag);
    open_.push_back({Node(YamlNode::Kind::kList, mark)});
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Refuse(mark, anchor, tag);
    open_.push_back({Node(YamlNode::Kind::kMap, mark)});
  }
  void OnMapEnd() override { Close(); }

 private:
  std::string Where(const YAML::Mark& mark) const {
    return name_ + ":" + std::to_string(mark.line + 1);
  }
  YamlNode Node(YamlNode::Kind kind, const YAML::Mark& mark) const {
    YamlNode node;
    node.kind = kind;
    node.where = Where(mark);
    return node;
  }
  void Refuse(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& tag) const {
    if (anchor != 0) throw InputError(Where(mark) + ": anchors (&name) are not allowed");
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw InputError(Where(mark) + ": tags (" + tag + ") are not allowed");
    }
  }
  void Close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    Add(std::move(node));
  }
  // A finished node goes to the list or map that is open; in a map, keys and values alternate.
  void Add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    auto& [parent, has_key] = open_.back();
    if (parent.kind == YamlNode::Kind::kList) {
      parent.items.push_back(std::move(node));
    } else if (has_key) {
      // A value stands where its key does, for messages that name the key.
      node.where = std::move(parent.members.back().second.where);
      parent.members.back().second = std::move(node);
      has_key = false;
    } else {
      AddKey(parent, node);
      has_key = true;
    }
  }
  static void AddKey(YamlNode& parent, const YamlNode& key) {
    if (key.kind != YamlNode::Kind::kScalar || key.text.empty()) {
      throw InputError(key.where + ": a key must be a plain word");
    }
    if (parent.Find(key.text) != nullptr) {
      throw InputError(key.where + ": key '" + key.text + "' stands twice");
    }
    parent.members.emplace_back(key.text, YamlNode{}).second.where = key.where;
  }

  std::string name_;
  YamlNode root_;
  struct Open {
    YamlNode node;
    bool has_key = false;  // of a map: its value comes next
  };
  std::vector<Open> open_;
};

void Emit(const YamlNode& node, YAML::Emitter& out) {
  switch (node.kind) {
    case YamlNode::Kind::kScalar:
      if (node.quoted) out << YAML::DoubleQuoted;
      if (node.IsNull()) {
        out << YAML::Null;
      } else {
        out << node.text;
      }
      break;
    case YamlNode::Kind::kList: {
      const bool scalars = std::ranges::all_of(
          node.items, [](const YamlNode& item) { return item.kind == YamlNode::Kind::kScalar; });
      if (scalars) out << YAML::Flow;
      out << YAML::BeginSeq;
      for (const YamlNode& item : node.items) Emit(item, out);
      out << YAML::EndSeq;
      break;
    }
    case YamlNode::Kind::kMap:
      out << YAML::BeginMap;
      for (const auto& [key, value] : node.members) {
        out << YAML::Key << key << YAML::Value;
        Emit(value, out);
      }
      out << YAML::EndMap;
      break;
  }
}

}  // namespace

YamlNode::YamlNode() = default;
YamlNode::YamlNode(const YamlNode&) = default;
YamlNode::YamlNode(YamlNode&&) noexcept = default;
YamlNode& YamlNode::operator=(const YamlNode&) = default;
YamlNode& YamlNode::operator=(YamlNode&&) noexcept = default;
YamlNode::~YamlNode() = default;

YamlNode* YamlNode::Find(const std::string& key) {
  const auto found = std::ranges::find(members, key, &std::pair<std::string, YamlNode>::first);
  return found == members.end() ? nullptr : &found->second;
}

const YamlNode* YamlNode::Find(const std::string& key) const {
  return const_cast<YamlNode*>(this)->Find(key);
}

YamlNode ParseYaml(const std::string& text, const std::string& name) {
  if (static_cast<int64_t>(text.size()) > kMaxBytes) {
    throw InputError(name + ": has " + std::to_string(text.size()) + " bytes, allowed are " +
                     std::to_string(kMaxBytes));
  }
  CheckUtf8(text, name);
  // The parser takes one of them for the end of the text.
  const auto control = std::ranges::find_if(text, [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t' && c != '\n' && c != '\r') ||
           c == '\x7f';
  });
  if (control != text.end()) {
    throw InputError(name + ":" + std::to_string(1 + std::count(text.begin(), control, '\n')) +
                     ": control characters are not allowed");
  }
  std::istringstream stream(text);
  TreeBuilder builder(name);
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    TreeBuilder rest(name);
    if (parser.HandleNextDocument(rest)) {
      throw InputError(name + ": holds several documents; allowed: one");
    }
  } catch (const YAML::Exception& error) {
    throw InputError(name + ":" + std::to_string(error.mark.line + 1) +
                     ": not valid YAML: " + error.msg);
  }
  return builder.Take();
}

YamlNode ReadYaml(const std::filesystem::path& path) {
  return ParseYaml(ReadFile(path, kMaxBytes), path.string());
}

std::string WriteYaml(const YamlNode& node) {
  YAML::Emitter out;
  Emit(node, out);
  return std::string(out.c_str()) + "\n";
}

}  // namespace longrope
