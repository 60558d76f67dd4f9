#include "eval/text/normalizer.h"

namespace longrope {
namespace {

struct Apply {
  std::string_view text;

  std::string operator()(const PrependStep& step) const {
    return text.empty() ? std::string() : step.prefix + std::string(text);
  }
  std::string operator()(const ReplaceStep& step) const {
    return Replaced(text, step.what, step.by);
  }
  std::string operator()(NormalForm form) const { return Normalize(text, form); }
};

}  // namespace

std::string Normalized(std::string_view text, const std::vector<NormalizerStep>& steps) {
  std::string result(text);
  for (const NormalizerStep& step : steps) result = std::visit(Apply{result}, step);
  return result;
}

std::string Replaced(std::string_view text, std::string_view what, std::string_view by) {
  std::string result;
  result.reserve(text.size());
  size_t done = 0;
  for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, done)) {
    result += text.substr(done, at - done);
    result += by;
    done = at + what.size();
  }
  result += text.substr(done);
  return result;
}

}  // namespace longrope
