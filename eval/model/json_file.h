// JSON read from files people bring, with errors that name the file and the key.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longrope {

using Json = nlohmann::json;

// Sees every event while a text is parsed, before a value is kept; throws where it has seen enough.
// `depth`: containers around it, begins of containers not counting themselves. `parsed`: of events
// key and value.
using JsonWatch = std::function<void(int depth, Json::parse_event_t event, const Json& parsed)>;

// Parses text; throws InputError "<name>: not valid JSON: ..." (duplicate keys refused).
Json ParseJson(std::string_view text, const std::string& name, const JsonWatch& watch = {});
// An object of typed members; every error is an InputError "<name>: <key>: ...".
class JsonObject {
 public:
  JsonObject(Json value, std::string name);  // throws unless value is an object
  const std::string& name() const { return name_; }
  bool Has(const std::string& key) const;  // there and not null
  std::vector<std::string> Keys() const;
  const Json& Raw(const std::string& key) const { return value_.at(key); }
  JsonObject Object(const std::string& key) const;
  std::optional<std::string> Text(const std::string& key) const;
  std::optional<bool> Flag(const std::string& key) const;
  std::optional<double> Number(const std::string& key) const;  // finite
  // A whole number in [low, high].
  std::optional<int64_t> Integer(const std::string& key, int64_t low, int64_t high) const;
  std::optional<std::vector<double>> Numbers(const std::string& key) const;
  [[noreturn]] void Refuse(const std::string& key, const std::string& why) const;

 private:
  Json value_;
  std::string name_;
};

// An object from a file of at most `max_bytes`.
JsonObject ReadJsonObject(const std::filesystem::path& path, int64_t max_bytes = 16 << 20);

}  // namespace longrope
