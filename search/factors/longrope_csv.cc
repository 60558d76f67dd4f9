#include "search/factors/longrope_csv.h"

#include <charconv>

#include "eval/errors.h"
#include "eval/number_text.h"

namespace longrope {
namespace {

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

float ParseFactor(std::string_view text, const std::string& where) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(number >= 1e-3 && number <= 1e6)) {
    throw InputError(where + ": '" + std::string(text.substr(0, 40)) +
                     "'; allowed: a factor from 0.001 to 1000000");
  }
  return static_cast<float>(number);
}

std::vector<float> ParseRow(std::string_view line, const std::string& where) {
  std::vector<float> row;
  while (true) {
    const size_t comma = line.find(',');
    row.push_back(ParseFactor(Trimmed(line.substr(0, comma)), where));
    if (comma == std::string_view::npos) return row;
    line.remove_prefix(comma + 1);
  }
}

}  // namespace

std::string WriteLongropeCsv(const RopeFactors& factors) {
  std::string text;
  for (float value : factors.lambda) text += FloatText(value) + "\n";
  return text;
}

FactorFile ParseLongropeCsv(std::string_view text, const std::string& name) {
  RopeFactors factors;
  bool layered = false;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) continue;
    const std::string where = name + ":" + std::to_string(number);
    const std::vector<float> row = ParseRow(line, where);
    if (factors.lambda.empty()) layered = row.size() > 1;
    if (!layered && row.size() == 1) {
      factors.lambda.push_back(row[0]);
    } else if (layered && factors.lambda.empty()) {
      factors.lambda = row;
    } else if (row != factors.lambda) {
      throw InputError(where +
                       ": differs from the first row; allowed: one factor a line, or the "
                       "same row for every layer");
    }
  }
  if (factors.lambda.empty()) throw InputError(name + ": holds no factors");
  FactorFile file;
  file.buckets.push_back({0, std::move(factors), ""});
  return file;
}

}  // namespace longrope
