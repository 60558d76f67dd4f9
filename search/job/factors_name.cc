#include "search/job/factors_name.h"

#include <algorithm>
#include <charconv>

#include "eval/errors.h"

namespace longrope {

FactorsName ParseFactorsName(const std::string& text, const std::string& where) {
  FactorsName name;
  std::string factors = text;
  if (const size_t colon = factors.find(':'); colon != std::string::npos) {
    name.model = factors.substr(0, colon);
    factors = factors.substr(colon + 1);
  }
  const size_t at = factors.find('@');
  const std::string plain = factors.substr(0, at);
  const auto methods = RopeMethodNames();
  if (std::ranges::find(methods, plain) == methods.end()) {
    name.stage = factors;
    return name;
  }
  name.method = RopeMethodNamed(plain);
  if (at == std::string::npos) return name;
  const char *begin = factors.data() + at + 1, *end = factors.data() + factors.size();
  const auto [stop, error] = std::from_chars(begin, end, name.target);
  if (error != std::errc() || stop != end || name.target < 2) {
    throw InputError(where + ": '" + text + "'; allowed after @: a length in tokens");
  }
  return name;
}

}  // namespace longrope
