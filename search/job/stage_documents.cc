#include "search/job/stage_documents.h"

#include <algorithm>
#include <filesystem>
#include <initializer_list>

#include "eval/errors.h"
#include "eval/key_tokens.h"
#include "eval/text/token_files.h"
#include "search/rng.h"

namespace longrope {
namespace {

using Titles = std::vector<std::string>;

bool Holds(const Titles& titles, const std::string& title) {
  return std::ranges::find(titles, title) != titles.end();
}

// The books at a place that the job's `key` names.
std::unique_ptr<Books> OpenBooks(const DataOptions& data, const std::string& path, const char* key,
                                 const Reading& reading) {
  if (data.tokens) {
    return OpenTokenFiles({path, *data.tokens, data.separator, reading.vocab, key});
  }
  auto corpus =
      OpenCorpus({path, data.text_field, key, data.filter, reading.cache, reading.listener});
  return std::make_unique<TokenizedBooks>(std::move(corpus), reading.tokenizer, reading.cache,
                                          reading.listener);
}

// Which of all books a list of titles means: those, or where it is empty all that the others
// do not name. Throws InputError for a title that is not there.
std::vector<bool> Chosen(const Books& books, const std::string& where, const char* key,
                         const Titles& titles, std::initializer_list<const Titles*> others) {
  std::vector<bool> chosen;
  Titles missing = titles;
  for (size_t i = 0; i < books.size(); ++i) {
    const std::string title = books.Title(i);
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

// Documents that are to come from the same books.
struct Part {
  int count = 0;
  std::vector<bool> books;  // of all, those that they may come from
};

// The books of a stage that scores.
class StageBooks {
 public:
  StageBooks(const DataOptions& data, const StageOptions& stage, const Reading& reading)
      : data_(data),
        stage_(stage),
        apart_(stage.kind == "evaluate" && !data.evaluate_path.empty()),
        books_(apart_ ? OpenBooks(data, data.evaluate_path, "data.evaluate_path", reading)
                      : OpenBooks(data, data.path, "data.path", reading)) {}

  const Books& all() const { return *books_; }

  // In the order in which the stage scores them.
  std::vector<Part> Parts() const {
    if (apart_) return {{stage_.documents, std::vector<bool>(books_->size(), true)}};
    if (stage_.kind == "evaluate") return {{stage_.documents, HeldOut()}};
    if (data_.fitness_books.empty() && data_.held_out_books.empty()) {
      return {{stage_.documents + stage_.held_out,
               Chosen(*books_, data_.path, "fitness_books", {}, {TrainBooks()})}};
    }
    std::vector<Part> parts = {
        {stage_.documents, Chosen(*books_, data_.path, "fitness_books", data_.fitness_books,
                                  {&data_.held_out_books, TrainBooks()})}};
    if (stage_.held_out > 0) parts.push_back({stage_.held_out, HeldOut()});
    return parts;
  }

 private:
  std::vector<bool> HeldOut() const {
    return Chosen(*books_, data_.path, "held_out_books", data_.held_out_books,
                  {&data_.fitness_books, TrainBooks()});
  }
  // Those of the same place.
  const Titles* TrainBooks() const {
    static const Titles none;
    return data_.train_path.empty() ? &data_.train_books : &none;
  }

  const DataOptions& data_;
  const StageOptions& stage_;
  bool apart_;  // texts of evaluations lie elsewhere
  std::unique_ptr<Books> books_;
};

// The draws of a stage.
class StageDraw {
 public:
  StageDraw(const Job& job, const StageOptions& stage, const Reading& reading)
      : job_(job), stage_(stage), books_(job.data, stage, reading) {}

  std::vector<Document> Documents() {
    std::vector<Document> documents;
    for (const Part& part : books_.Parts()) {
      std::ranges::move(Draw(part, static_cast<int>(documents.size())),
                        std::back_inserter(documents));
    }
    return documents;
  }

 private:
  Rng Stream(const char* purpose, uint32_t number) const {
    return Rng(static_cast<uint64_t>(job_.seed), stage_.name + purpose, number, 0);
  }

  // `before`: documents of the stage that come before them.
  std::vector<Document> Draw(const Part& part, int before) {
    DrawOptions draw{stage_.length, job_.data.min_tokens, part.count, job_.data.join};
    if (stage_.window == "random") {
      draw.offset = [&](int index, int64_t positions) {
        Rng rng = Stream("/windows", static_cast<uint32_t>(before + index));
        return int64_t{rng.Below(static_cast<uint32_t>(std::min<int64_t>(positions, UINT32_MAX)))};
      };
    }
    return DrawDocuments(books_.all(), draw, [&](size_t books) {
      Rng rng = Stream("/documents", 0);
      std::vector<size_t> order = RandomOrder(books, rng);
      std::erase_if(order, [&](size_t i) { return !part.books[i]; });
      return order;
    });
  }

  const Job& job_;
  const StageOptions& stage_;
  StageBooks books_;
};

// The books that a fine-tune reads.
struct TrainBooks {
  std::unique_ptr<Books> all;
  std::vector<bool> chosen;
};

TrainBooks OpenTrainBooks(const DataOptions& data, const Reading& reading) {
  const bool apart = !data.train_path.empty();
  auto books = OpenBooks(data, TrainPath(data), apart ? "data.train_path" : "data.path", reading);
  const Titles none;
  auto chosen = Chosen(*books, TrainPath(data), "train_books", data.train_books,
                       {apart ? &none : &data.fitness_books, apart ? &none : &data.held_out_books});
  if (std::ranges::count(chosen, true) == 0) {
    throw InputError("data: no text of " + TrainPath(data) +
                     " is left to train on; allowed: train_books, or another train_path");
  }
  return {std::move(books), std::move(chosen)};
}

}  // namespace

std::vector<Document> DrawStageDocuments(const Job& job, const StageOptions& stage,
                                         const Reading& reading) {
  return StageDraw(job, stage, reading).Documents();
}

void CheckStageTexts(const Job& job, const StageOptions& stage, const Reading& reading) {
  if (stage.kind == "finetune") {
    if (stage.finetune.Asks("{tokens}")) OpenTrainBooks(job.data, reading);
    if (stage.finetune.Asks("{text}") && !std::filesystem::exists(TrainPath(job.data))) {
      throw InputError("data.train_path: " + TrainPath(job.data) + ": does not exist");
    }
    return;
  }
  const std::string hint = ", data.separator (the id between the texts of a file of tokens)";
  const bool unmarked = job.data.tokens && !job.data.separator;
  for (const Part& part : StageBooks(job.data, stage, reading).Parts()) {
    const auto books = std::ranges::count(part.books, true);
    if (books >= part.count || (job.data.join && books > 0)) continue;
    throw InputError("data: stage " + stage.name + " is to draw " + std::to_string(part.count) +
                     " documents from " + std::to_string(books) +
                     " books, and no book serves two; allowed: more books, fewer documents, "
                     "data.join: true" +
                     (unmarked ? hint : ""));
  }
}

const std::string& TrainPath(const DataOptions& data) {
  return data.train_path.empty() ? data.path : data.train_path;
}

void ForTrainBooks(const DataOptions& data, const Reading& reading,
                   const std::function<void(const std::vector<int32_t>&)>& body) {
  const TrainBooks books = OpenTrainBooks(data, reading);
  std::vector<size_t> chosen;
  for (size_t i = 0; i < books.all->size(); ++i) {
    if (books.chosen[i]) chosen.push_back(i);
  }
  books.all->WillRead(chosen);
  for (size_t i : chosen) body(books.all->Tokens(i));
}

std::string DocumentText(const Document& document) {
  const std::string count = std::to_string(document.tokens.size()) + " tokens";
  return "'" + document.title + "', " +
         (document.offset == 0 ? "its first " + count
                               : count + " from token " + std::to_string(document.offset));
}

std::optional<std::vector<Document>> DrawAnnounced(const Job& job, const StageOptions& stage,
                                                   const Reading& reading, RunObserver& observer) {
  std::vector<Document> documents;
  try {
    documents = DrawStageDocuments(job, stage, reading);
  } catch (const Stopped&) {
    return std::nullopt;
  }
  for (size_t i = 0; i < documents.size(); ++i) {
    const bool fitness = i < static_cast<size_t>(stage.documents);
    observer.OnMessage("stage " + stage.name + ": " + (fitness ? "fitness" : "held-out") +
                       " document " + DocumentText(documents[i]));
  }
  return documents;
}

void MarkTail(const StageOptions& stage, int64_t original, std::vector<Document>* documents) {
  for (Document& document : *documents) {
    document.scored = TailTokens(stage.length, original);
    document.objective = "tail from token " + std::to_string(original);
  }
}

}  // namespace longrope
