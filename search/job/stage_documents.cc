#include "search/job/stage_documents.h"

#include <algorithm>
#include <initializer_list>

#include "eval/errors.h"
#include "search/rng.h"

namespace longrope {
namespace {

using Titles = std::vector<std::string>;

bool Holds(const Titles& titles, const std::string& title) {
  return std::ranges::find(titles, title) != titles.end();
}

// Which of a corpus's books a list of titles means: those, or where it is empty all that the others
// do not name. Throws InputError for a title that is not there.
std::vector<bool> Chosen(const Corpus& corpus, const std::string& where, const char* key,
                         const Titles& titles, std::initializer_list<const Titles*> others) {
  std::vector<bool> chosen;
  Titles missing = titles;
  for (size_t i = 0; i < corpus.size(); ++i) {
    const std::string title = corpus.Title(i);
    std::erase(missing, title);
    chosen.push_back(titles.empty()
                         ? std::ranges::none_of(
                               others, [&](const Titles* other) { return Holds(*other, title); })
                         : Holds(titles, title));
  }
  if (!missing.empty()) {
    throw InputError(std::string("data.") + key + ": '" + missing.front() + "' is no text of " +
                     where);
  }
  return chosen;
}

// The draws of a stage.
class StageDraw {
 public:
  StageDraw(const Job& job, const StageOptions& stage, const Tokenizer& tokenizer)
      : job_(job),
        stage_(stage),
        tokenizer_(tokenizer),
        apart_(stage.kind == "evaluate" && !job.data.evaluate_path.empty()),
        corpus_(
            OpenCorpus({apart_ ? job.data.evaluate_path : job.data.path, job.data.text_field})) {}

  std::vector<Document> Fitness() {
    const DataOptions& data = job_.data;
    return Draw(stage_.documents, 0,
                Chosen(*corpus_, data.path, "fitness_books", data.fitness_books,
                       {&data.held_out_books, TrainBooks()}));
  }
  // `before`: documents of the stage that come before them.
  std::vector<Document> HeldOut(int count, int before) {
    const DataOptions& data = job_.data;
    if (apart_) return Draw(count, before, std::vector<bool>(corpus_->size(), true));
    return Draw(count, before,
                Chosen(*corpus_, data.path, "held_out_books", data.held_out_books,
                       {&data.fitness_books, TrainBooks()}));
  }
  // From the same books.
  std::vector<Document> Both() {
    return Draw(stage_.documents + stage_.held_out, 0,
                Chosen(*corpus_, job_.data.path, "fitness_books", {}, {TrainBooks()}));
  }

 private:
  // Those of the same place.
  const Titles* TrainBooks() const {
    static const Titles none;
    return job_.data.train_path.empty() ? &job_.data.train_books : &none;
  }
  Rng Stream(const char* purpose, uint32_t number) const {
    return Rng(static_cast<uint64_t>(job_.seed), stage_.name + purpose, number, 0);
  }

  std::vector<Document> Draw(int count, int before, const std::vector<bool>& chosen) {
    DrawOptions draw{stage_.length, job_.data.min_tokens, count, job_.data.join};
    if (stage_.window == "random") {
      draw.offset = [&](int index, int64_t positions) {
        Rng rng = Stream("/windows", static_cast<uint32_t>(before + index));
        return int64_t{rng.Below(static_cast<uint32_t>(std::min<int64_t>(positions, UINT32_MAX)))};
      };
    }
    return DrawDocuments(*corpus_, tokenizer_, draw, [&](size_t books) {
      Rng rng = Stream("/documents", 0);
      std::vector<size_t> order = RandomOrder(books, rng);
      std::erase_if(order, [&](size_t i) { return !chosen[i]; });
      return order;
    });
  }

  const Job& job_;
  const StageOptions& stage_;
  const Tokenizer& tokenizer_;
  bool apart_;  // texts of evaluations lie elsewhere
  std::unique_ptr<Corpus> corpus_;
};

}  // namespace

std::vector<Document> DrawStageDocuments(const Job& job, const StageOptions& stage,
                                         const Tokenizer& tokenizer) {
  StageDraw draw(job, stage, tokenizer);
  if (stage.kind == "evaluate") return draw.HeldOut(stage.documents, 0);
  if (job.data.fitness_books.empty() && job.data.held_out_books.empty()) return draw.Both();
  std::vector<Document> documents = draw.Fitness();
  if (stage.held_out > 0) {
    std::ranges::move(draw.HeldOut(stage.held_out, stage.documents), std::back_inserter(documents));
  }
  return documents;
}

const std::string& TrainPath(const DataOptions& data) {
  return data.train_path.empty() ? data.path : data.train_path;
}

std::vector<std::string> TrainTexts(const DataOptions& data) {
  const auto corpus = OpenCorpus({TrainPath(data), data.text_field});
  const Titles none;
  const bool apart = !data.train_path.empty();
  const auto chosen =
      Chosen(*corpus, TrainPath(data), "train_books", data.train_books,
             {apart ? &none : &data.fitness_books, apart ? &none : &data.held_out_books});
  std::vector<std::string> texts;
  for (size_t i = 0; i < corpus->size(); ++i) {
    if (chosen[i]) texts.push_back(corpus->Text(i));
  }
  if (texts.empty()) {
    throw InputError("data: no text of " + TrainPath(data) +
                     " is left to train on; allowed: train_books, or another train_path");
  }
  return texts;
}

std::string DocumentText(const Document& document) {
  const std::string count = std::to_string(document.tokens.size()) + " tokens";
  return "'" + document.title + "', " +
         (document.offset == 0 ? "its first " + count
                               : count + " from token " + std::to_string(document.offset));
}

}  // namespace longrope
