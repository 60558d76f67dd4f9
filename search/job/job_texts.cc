#include "search/job/job_texts.h"

#include <utility>

namespace longrope {
namespace {

constexpr const char* kCacheFolder = ".texts";

TextCacheOptions CacheOptions(const Job& job, bool writes) {
  const DataOptions& data = job.data;
  TextCacheOptions options;
  if (data.cache.empty()) {
    // Wherever the run's folder was moved to.
    options.folder = std::filesystem::path(job.output.folder).parent_path() / kCacheFolder;
  } else if (data.cache != kNoCache) {
    options.folder = data.cache;
  }
  options.max_bytes = static_cast<int64_t>(data.cache_gb * 1e9);
  options.writes = writes;
  return options;
}

}  // namespace

JobTexts::JobTexts(const Job& job, Listener listener, bool writes)
    : job_(job),
      listener_(std::move(listener)),
      cache_(FileSystem::Real(), CacheOptions(job, writes), listener_) {}

Reading JobTexts::Open(int64_t vocab, std::stop_token stop) {
  Reading reading = Titles(std::move(stop));
  reading.vocab = vocab;
  if (!job_.data.tokens) {
    // A fine-tune keeps the tokenizer, and need not copy it.
    if (!tokenizer_ || vocab_ != vocab) {
      tokenizer_ = OpenTokenizer(job_.model.path, vocab);
      vocab_ = vocab;
    }
    reading.tokenizer = tokenizer_.get();
  }
  return reading;
}

Reading JobTexts::Titles(std::stop_token stop) {
  Reading reading{.cache = &cache_, .listener = listener_};
  reading.listener.stop = std::move(stop);
  return reading;
}

Listener ListenerOf(RunObserver& observer) {
  return {.say = [&observer](const std::string& line) { observer.OnMessage(line); },
          .warn = [&observer](const std::string& line) { observer.OnWarning(line); }};
}

}  // namespace longrope
