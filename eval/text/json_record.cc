#include "eval/text/json_record.h"

#include <algorithm>

#include "eval/errors.h"
#include "eval/text/utf8.h"

namespace longrope {
namespace {

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// Does the text at that place equal `value`?
bool Equals(const Json& record, const std::vector<std::string>& fields, const std::string& value) {
  const Json* at = &record;
  Json inner;  // what a text held
  for (const std::string& field : fields) {
    if (at->is_string()) {
      Json parsed = Json::parse(at->get_ref<const std::string&>(), nullptr, false);
      inner = std::move(parsed);
      at = &inner;
    }
    if (!at->is_object() || !at->contains(field)) return false;
    at = &at->at(field);
  }
  return at->is_string() && at->get_ref<const std::string&>() == value;
}

}  // namespace

bool IsRecordFilter(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals + 1 == text.size()) return false;
  const auto fields = Split(text.substr(0, equals), '.');
  return std::ranges::none_of(fields, [](const std::string& field) { return field.empty(); });
}

JsonRecords::JsonRecords(std::string field, const std::vector<std::string>& filters)
    : field_(std::move(field)) {
  for (const std::string& filter : filters) {
    const size_t equals = filter.find('=');
    filters_.push_back({Split(filter.substr(0, equals), '.'), filter.substr(equals + 1)});
  }
}

std::optional<Json> JsonRecords::Selected(std::string_view line, const std::string& where) const {
  Json record = ParseJson(line, where);
  for (const Filter& filter : filters_) {
    if (!Equals(record, filter.fields, filter.value)) return std::nullopt;
  }
  return record;
}

std::optional<std::string> JsonRecords::Text(std::string_view line,
                                             const std::string& where) const {
  auto record = Selected(line, where);
  if (!record) return std::nullopt;
  const auto text = JsonObject(std::move(*record), where).Text(field_);
  if (!text) throw InputError(where + ": has no field '" + field_ + "'");
  return FoldLineEnds(*text);
}

bool JsonRecords::Passes(std::string_view line) const {
  try {
    return Selected(line, "").has_value();
  } catch (const InputError&) {
    return true;
  }
}

}  // namespace longrope
