#include "search/cli/console.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "eval/errors.h"

namespace longrope {
namespace {

constexpr auto kQuiet = std::chrono::seconds(10);  // between progress lines of a log
constexpr int kBarWidth = 24;                      // characters

std::shared_ptr<spdlog::logger> MakeLogger() {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  auto logger = std::make_shared<spdlog::logger>("longrope", sink);
  logger->set_pattern("%H:%M:%S %^%l%$: %v");
  logger->flush_on(spdlog::level::info);
  return logger;
}

std::string Duration(double seconds) {
  char text[64];
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%lld h %02lld min", whole / 3600, whole / 60 % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld min", whole / 60, whole % 60);
  }
  return text;
}

std::string Bar(double share) {
  const int filled = std::clamp(static_cast<int>(share * kBarWidth), 0, kBarWidth);
  return "[" + std::string(static_cast<size_t>(filled), '#') +
         std::string(static_cast<size_t>(kBarWidth - filled), '.') + "]";
}

}  // namespace

void LogMessage(const std::string& text) { MakeLogger()->info(text); }
void LogWarning(const std::string& text) { MakeLogger()->warn(text); }

Console::Console() : logger_(MakeLogger()), terminal_(::isatty(STDERR_FILENO) == 1) {}

Console::~Console() { ClearBar(); }

void Console::LogTo(const std::filesystem::path& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_st>(path.string());
    sink->set_pattern("%Y-%m-%d %H:%M:%S %l: %v");
    logger_->sinks().push_back(std::move(sink));
  } catch (const spdlog::spdlog_ex&) {
    throw InputError(path.string() + ": cannot be written");
  }
}

void Console::ClearBar() {
  if (!bar_shown_) return;
  std::fputs("\r\033[K", stderr);
  bar_shown_ = false;
}

std::string Console::Line(const Progress& progress) const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - began_).count();
  const auto done_here = static_cast<double>(progress.scores - scores_before_);
  const double rate = elapsed > 0 ? done_here / elapsed : 0;  // scores a second
  const auto left = static_cast<double>(progress.planned_scores - progress.scores);
  char text[240];
  std::snprintf(text, sizeof text,
                "%s: %lld/%lld evaluations, %lld/%lld scores, best perplexity %.4f, "
                "%.2f scores/s, %s left",
                progress.stage.c_str(), static_cast<long long>(progress.evaluations),
                static_cast<long long>(progress.planned_evaluations),
                static_cast<long long>(progress.scores),
                static_cast<long long>(progress.planned_scores), progress.best, rate,
                Duration(rate > 0 ? left / rate : 0).c_str());
  return text;
}

void Console::OnProgress(const Progress& progress) {
  const Clock::time_point now = Clock::now();
  if (progress.stage != stage_) {
    stage_ = progress.stage;
    scores_before_ = progress.scores - 1;
    began_ = now - std::chrono::duration_cast<Clock::duration>(
                       std::chrono::duration<double>(progress.seconds));
  }
  if (terminal_) {
    const double share =
        static_cast<double>(progress.scores) / static_cast<double>(progress.planned_scores);
    std::fprintf(stderr, "\r\033[K%s %s", Bar(share).c_str(), Line(progress).c_str());
    bar_shown_ = true;
  } else if (now - said_ >= kQuiet) {
    said_ = now;
    logger_->info(Line(progress));
  }
}

void Console::OnMessage(const std::string& text) {
  ClearBar();
  logger_->info(text);
}

void Console::OnWarning(const std::string& text) {
  ClearBar();
  logger_->warn(text);
}

}  // namespace longrope
