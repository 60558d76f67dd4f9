#include "eval/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "eval/errors.h"

namespace longrope {
namespace {

constexpr uint32_t kMaxSteps = 100'000'000;
constexpr uint32_t kMaxHeapKiB = 256 << 10;

struct MatchDataFree {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

std::string Message(int code) {
  std::array<PCRE2_UCHAR, 160> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct Regex::Compiled {
  pcre2_code* code = nullptr;
  pcre2_match_context* limits = nullptr;
  bool jit = false;

  Compiled() = default;
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() {
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
  }
};

Regex::Regex(const std::string& pattern, const std::string& where) : where_(where) {
  const std::string translated = TranslatePattern(pattern, where);
  auto compiled = std::make_unique<Compiled>();
  int error = 0;
  PCRE2_SIZE offset = 0;
  constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  auto* options = pcre2_compile_context_create(nullptr);
  pcre2_set_newline(options, PCRE2_NEWLINE_LF);
  compiled->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                 kOptions, &error, &offset, options);
  pcre2_compile_context_free(options);
  if (compiled->code == nullptr) {
    throw InputError(where + ": PCRE2 cannot compile the pattern: " + Message(error));
  }
  compiled->limits = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(compiled->limits, kMaxSteps);
  pcre2_set_heap_limit(compiled->limits, kMaxHeapKiB);
  compiled->jit = pcre2_jit_compile(compiled->code, PCRE2_JIT_COMPLETE) == 0;
  compiled_ = std::move(compiled);
}

Regex::~Regex() = default;

bool Regex::Find(std::string_view text, size_t from, Span* match) const {
  const std::unique_ptr<pcre2_match_data, MatchDataFree> data(pcre2_match_data_create(1, nullptr));
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int found = PCRE2_ERROR_JIT_STACKLIMIT;
  if (compiled_->jit) {
    found = pcre2_jit_match(compiled_->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK,
                            data.get(), compiled_->limits);
  }
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) {  // the machine stack's 32 KiB: go on upon the heap
    found = pcre2_match(compiled_->code, subject, text.size(), from,
                        PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data.get(), compiled_->limits);
  }
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0) {
    throw InputError(where_ + ": the pattern fails at byte " + std::to_string(from) +
                     " of a text: " + Message(found));
  }
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data.get());
  *match = {bounds[0], bounds[1]};
  return true;
}

}  // namespace longrope
