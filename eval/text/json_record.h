// A line of a .jsonl file as a text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eval/model/json_file.h"

namespace longrope {

// "FIELD=VALUE" with a dot before each inner field, as "meta.pile_set_name=Books3".
bool IsRecordFilter(const std::string& text);

// Which lines are texts, and where in them the text is.
class JsonRecords {
 public:
  // Only records in which every one of `filters` holds; a field that is not there, or is no text,
  // equals nothing. A text that holds JSON is looked into, as the "meta" of Hugging Face's copies.
  JsonRecords(std::string field, const std::vector<std::string>& filters);
  bool has_filters() const { return !filters_.empty(); }
  // The text with CRLF folded; nothing if a filter does not hold. Throws InputError that begins
  // with `where`.
  std::optional<std::string> Text(std::string_view line, const std::string& where) const;
  // Does the line pass? One that is not JSON does: it is refused when it is read.
  bool Passes(std::string_view line) const;

 private:
  struct Filter {
    std::vector<std::string> fields;
    std::string value;
  };
  // The record of a line in which every filter holds. Throws InputError.
  std::optional<Json> Selected(std::string_view line, const std::string& where) const;

  std::string field_;
  std::vector<Filter> filters_;
};

}  // namespace longrope
