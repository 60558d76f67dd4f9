#include "eval/text/pre_tokenizer.h"

#include <span>

#include "eval/text/normalizer.h"

namespace longrope {
namespace {

using Steps = std::span<const PreTokenizerStep>;
using Range = Regex::Span;

// The next match at `from` or later, which may be empty.
bool FindNext(const SplitStep& step, std::string_view text, size_t from, Range* match) {
  if (step.regex) return step.regex->Find(text, from, match);
  const size_t at = text.find(step.literal, from);
  if (at == std::string_view::npos) return false;
  *match = {at, at + step.literal.size()};
  return true;
}

// Visits the stretches of text between and at the matches, in order.
template <typename Visit>
void EachStretch(const SplitStep& step, std::string_view text, const Visit& visit) {
  size_t done = 0;
  Range match{};
  for (size_t from = 0; from <= text.size() && FindNext(step, text, from, &match);) {
    if (match.begin > done) visit(Range{done, match.begin}, step.invert);
    if (match.end > match.begin) {
      visit(match, !step.invert);
    }
    done = match.end;
    from = match.end;
    if (match.begin == match.end) {  // an empty match cuts, and is not found again
      if (from == text.size()) break;
      NextCodePoint(text, &from);
    }
  }
  if (done < text.size()) visit(Range{done, text.size()}, step.invert);
}

class Run {
 public:
  Run(std::string_view text, bool first, Steps rest, const VisitWord& visit)
      : text_(text), first_(first), rest_(rest), visit_(visit) {}

  void operator()(const SplitStep& step) {
    switch (step.behavior) {
      case SplitBehavior::kRemoved:
        return EachStretch(step, text_, [&](Range range, bool match) {
          if (!match) Hand(range);
        });
      case SplitBehavior::kIsolated:
        return EachStretch(step, text_, [&](Range range, bool) { Hand(range); });
      default:
        return Merged(step);
    }
  }
  void operator()(const PrefixSpaceStep&) {
    if (text_.starts_with(' ')) return Hand({0, text_.size()});
    const std::string own = " " + std::string(text_);
    text_ = own;
    Hand({0, text_.size()});
  }
  void operator()(const MetaspaceStep& step) {
    std::string own = Replaced(text_, " ", step.mark);
    const bool wanted =
        step.scheme == PrependScheme::kAlways || (step.scheme == PrependScheme::kFirst && first_);
    if (wanted && !own.starts_with(step.mark)) own.insert(0, step.mark);
    text_ = own;
    Hand({0, text_.size()});
  }

 private:
  // Matches joined to a neighbour: `held` is the piece that may still grow.
  void Merged(const SplitStep& step) {
    Range held{0, 0};
    bool held_match = false;
    EachStretch(step, text_, [&](Range range, bool match) {
      const bool grows = held.end > held.begin &&
                         (step.behavior == SplitBehavior::kContiguous       ? match == held_match
                          : step.behavior == SplitBehavior::kMergedWithNext ? held_match && !match
                                                                            : match && !held_match);
      if (grows) {
        held.end = range.end;
      } else {
        Hand(held);
        held = range;
      }
      held_match = match;
    });
    Hand(held);
  }

  void Hand(Range range) {
    if (range.begin == range.end) return;
    const std::string_view piece = text_.substr(range.begin, range.end - range.begin);
    if (rest_.empty()) return visit_(piece);
    std::visit(Run(piece, first_ && range.begin == 0, rest_.subspan(1), visit_), rest_[0]);
  }

  std::string_view text_;
  bool first_;
  Steps rest_;  // the steps after this one
  const VisitWord& visit_;
};

}  // namespace

void PreTokenize(std::string_view text, bool first, const std::vector<PreTokenizerStep>& steps,
                 const VisitWord& visit) {
  if (steps.empty()) return visit(text);
  std::visit(Run(text, first, Steps(steps).subspan(1), visit), steps[0]);
}

}  // namespace longrope
