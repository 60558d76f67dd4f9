// How a job's books become ids: its cache, its tokenizer, who is told.
#pragma once

#include <memory>
#include <stop_token>

#include "eval/text/text_cache.h"
#include "eval/text/tokenizer.h"
#include "search/job/job_options.h"
#include "search/job/observer.h"

namespace longrope {

// What reading books takes. Everything outlives what is read with it.
struct Reading {
  const Tokenizer* tokenizer = nullptr;  // of texts; not needed to see which there are
  int64_t vocab = int64_t{1} << 31;      // ids of files that hold ids are below
  TextCache* cache = nullptr;            // nullptr: nothing is kept
  Listener listener = {};
};

class JobTexts {
 public:
  // `writes`: may the cache be written?
  JobTexts(const Job& job, Listener listener, bool writes = true);
  // Opens the tokenizer where the job's books are texts, once for all calls of one vocabulary.
  // Throws InputError. Valid until a call for another one, and as long as this.
  Reading Open(int64_t vocab, std::stop_token stop = {});
  // For sizes and titles alone.
  Reading Titles(std::stop_token stop);

 private:
  const Job& job_;
  Listener listener_;
  TextCache cache_;
  std::unique_ptr<Tokenizer> tokenizer_;
  int64_t vocab_ = 0;  // that it was opened for
};

// `observer` outlives it.
Listener ListenerOf(RunObserver& observer);

}  // namespace longrope
