#include "eval/model/json_file.h"

#include <cmath>
#include <set>
#include <vector>

#include "eval/errors.h"
#include "eval/storage/files.h"

namespace longrope {
namespace {

// Of the library's message only what a user needs: "parse error at line 1, column 5: ...".
std::string Reason(const std::string& what) {
  const size_t end_of_tag = what.find("] ");
  std::string reason = end_of_tag == std::string::npos ? what : what.substr(end_of_tag + 2);
  for (char& c : reason) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return reason.substr(0, 200);
}

}  // namespace

Json ParseJson(std::string_view text, const std::string& name, const JsonWatch& watch) {
  constexpr int kMaxDepth = 64;
  // The library would take a NUL for the end and not look at what follows.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    throw InputError(name + ": not valid JSON: NUL at byte " + std::to_string(nul));
  }
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  // Throws where the fault stands: what follows may be long, and is not worth its memory.
  const auto see = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) {
      throw InputError(name + ": nested deeper than " + std::to_string(kMaxDepth) + " levels");
    }
    if (watch) watch(depth, event, parsed);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) {
        throw InputError(name + ": key '" + key + "' stands twice");
      }
    }
    return true;
  };
  try {
    return Json::parse(text, see);
  } catch (const Json::exception& error) {
    throw InputError(name + ": not valid JSON: " + Reason(error.what()));
  }
}

JsonObject::JsonObject(Json value, std::string name)
    : value_(std::move(value)), name_(std::move(name)) {
  if (!value_.is_object()) throw InputError(name_ + ": expected a JSON object");
}

bool JsonObject::Has(const std::string& key) const {
  return value_.contains(key) && !value_.at(key).is_null();
}

std::vector<std::string> JsonObject::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : value_.items()) keys.push_back(key);
  return keys;
}

void JsonObject::Refuse(const std::string& key, const std::string& why) const {
  throw InputError(name_ + ": " + key + ": " + why);
}

JsonObject JsonObject::Object(const std::string& key) const {
  if (!Has(key)) Refuse(key, "missing");
  return JsonObject(value_.at(key), name_ + ": " + key);
}

std::optional<std::string> JsonObject::Text(const std::string& key) const {
  if (!Has(key)) return std::nullopt;
  if (!Raw(key).is_string()) Refuse(key, "expected a text");
  return Raw(key).get<std::string>();
}

std::optional<bool> JsonObject::Flag(const std::string& key) const {
  if (!Has(key)) return std::nullopt;
  if (!Raw(key).is_boolean()) Refuse(key, "expected true or false");
  return Raw(key).get<bool>();
}

std::optional<double> JsonObject::Number(const std::string& key) const {
  if (!Has(key)) return std::nullopt;
  if (!Raw(key).is_number() || !std::isfinite(Raw(key).get<double>())) {
    Refuse(key, "expected a number");
  }
  return Raw(key).get<double>();
}

std::optional<int64_t> JsonObject::Integer(const std::string& key, int64_t low,
                                           int64_t high) const {
  const std::optional<double> number = Number(key);
  if (!number) return std::nullopt;
  if (*number != std::floor(*number) || *number < static_cast<double>(low) ||
      *number > static_cast<double>(high)) {
    Refuse(key, Raw(key).dump() + "; allowed: whole numbers from " + std::to_string(low) + " to " +
                    std::to_string(high));
  }
  return static_cast<int64_t>(*number);
}

std::optional<std::vector<double>> JsonObject::Numbers(const std::string& key) const {
  if (!Has(key)) return std::nullopt;
  std::vector<double> numbers;
  if (!Raw(key).is_array()) Refuse(key, "expected a list of numbers");
  for (const Json& item : Raw(key)) {
    if (!item.is_number() || !std::isfinite(item.get<double>())) {
      Refuse(key, "element " + std::to_string(numbers.size()) + " is not a number");
    }
    numbers.push_back(item.get<double>());
  }
  return numbers;
}

JsonObject ReadJsonObject(const std::filesystem::path& path, int64_t max_bytes) {
  return JsonObject(ParseJson(ReadFile(path, max_bytes), path.string()), path.string());
}

}  // namespace longrope
