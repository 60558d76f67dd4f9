#include "search/job/stage_documents.h"

#include <algorithm>

#include "eval/errors.h"
#include "search/rng.h"

namespace longrope {
namespace {

// Indices of the books with these titles. Throws InputError for one that is not there.
std::vector<size_t> NamedBooks(const Corpus& corpus, const Job& job, const StageOptions& stage,
                               const char* key, const std::vector<std::string>& titles) {
  std::vector<size_t> books;
  for (const std::string& title : titles) {
    size_t book = 0;
    while (book < corpus.size() && corpus.Title(book) != title) ++book;
    if (book == corpus.size()) {
      throw InputError("stages." + stage.name + "." + key + ": '" + title + "' is no text of " +
                       TextPath(job, stage));
    }
    books.push_back(book);
  }
  return books;
}

// Draws of a stage, from all books or from some.
class StageDraw {
 public:
  StageDraw(const Job& job, const StageOptions& stage, const Tokenizer& tokenizer)
      : job_(job),
        stage_(stage),
        tokenizer_(tokenizer),
        corpus_(OpenCorpus({TextPath(job, stage), job.data.text_field})) {}

  std::vector<size_t> Named(const char* key, const std::vector<std::string>& titles) const {
    return NamedBooks(*corpus_, job_, stage_, key, titles);
  }
  std::vector<size_t> AllBut(const std::vector<size_t>& books) const {
    std::vector<size_t> others;
    for (size_t i = 0; i < corpus_->size(); ++i) {
      if (std::ranges::find(books, i) == books.end()) others.push_back(i);
    }
    return others;
  }

  // Appends `count` documents from these books.
  void Draw(int count, const std::vector<size_t>& books) {
    const auto before = static_cast<int>(documents_.size());
    DrawOptions draw{stage_.length, job_.data.min_tokens, count, job_.data.join};
    if (stage_.window == "random") {
      draw.offset = [&](int index, int64_t positions) {
        Rng rng = Stream("/windows", static_cast<uint32_t>(before + index));
        return int64_t{rng.Below(static_cast<uint32_t>(std::min<int64_t>(positions, UINT32_MAX)))};
      };
    }
    auto drawn = DrawDocuments(*corpus_, tokenizer_, draw, [&](size_t size) {
      Rng rng = Stream("/documents", 0);
      std::vector<size_t> order = RandomOrder(size, rng);
      std::erase_if(order, [&](size_t i) { return std::ranges::find(books, i) == books.end(); });
      return order;
    });
    std::ranges::move(drawn, std::back_inserter(documents_));
  }
  std::vector<Document> Take() { return std::move(documents_); }

 private:
  Rng Stream(const char* purpose, uint32_t number) const {
    return Rng(static_cast<uint64_t>(job_.seed), stage_.name + purpose, number, 0);
  }

  const Job& job_;
  const StageOptions& stage_;
  const Tokenizer& tokenizer_;
  std::unique_ptr<Corpus> corpus_;
  std::vector<Document> documents_;
};

}  // namespace

const std::string& TextPath(const Job& job, const StageOptions& stage) {
  return stage.text.empty() ? job.data.path : stage.text;
}

std::vector<std::string> TextsOf(const Job& job, const StageOptions& stage) {
  const auto corpus = OpenCorpus({TextPath(job, stage), job.data.text_field});
  std::vector<size_t> books = NamedBooks(*corpus, job, stage, "books", stage.books);
  if (books.empty()) {
    for (size_t i = 0; i < corpus->size(); ++i) books.push_back(i);
  }
  std::ranges::sort(books);
  std::vector<std::string> texts;
  for (size_t i : books) texts.push_back(corpus->Text(i));
  return texts;
}

std::vector<Document> DrawStageDocuments(const Job& job, const StageOptions& stage,
                                         const Tokenizer& tokenizer) {
  StageDraw draw(job, stage, tokenizer);
  const auto fitness = draw.Named("fitness_books", stage.fitness_books);
  const auto held_out = draw.Named("held_out_books", stage.held_out_books);
  if (fitness.empty() && held_out.empty()) {
    const auto books = draw.Named("books", stage.books);
    draw.Draw(stage.documents + stage.held_out, books.empty() ? draw.AllBut({}) : books);
    return draw.Take();
  }
  draw.Draw(stage.documents, fitness.empty() ? draw.AllBut(held_out) : fitness);
  if (stage.held_out > 0) {
    draw.Draw(stage.held_out, held_out.empty() ? draw.AllBut(fitness) : held_out);
  }
  return draw.Take();
}

std::string DocumentText(const Document& document) {
  const std::string count = std::to_string(document.tokens.size()) + " tokens";
  return "'" + document.title + "', " +
         (document.offset == 0 ? "its first " + count
                               : count + " from token " + std::to_string(document.offset));
}

}  // namespace longrope
