#include "search/cli/console.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "eval/errors.h"
#include "search/cli/duration.h"

namespace longrope {
namespace {

constexpr auto kQuiet = std::chrono::seconds(10);  // between progress lines of a log
constexpr int kBarWidth = 24, kShortestBar = 5;    // characters

std::shared_ptr<spdlog::logger> MakeLogger() {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  auto logger = std::make_shared<spdlog::logger>("longrope", sink);
  logger->set_pattern("%H:%M:%S %^%l%$: %v");
  logger->flush_on(spdlog::level::info);
  return logger;
}

// Of the terminal behind stderr, in characters.
int TerminalColumns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// A bar of `width` characters, if it has any, before the text; never as wide as the terminal, since
// a line that wraps cannot be drawn over.
std::string BarLine(double share, std::string text, int width, int columns) {
  if (width >= kShortestBar) {
    const int filled = std::clamp(static_cast<int>(share * width), 0, width);
    text = "[" + std::string(static_cast<size_t>(filled), '#') +
           std::string(static_cast<size_t>(width - filled), '.') + "] " + text;
  }
  return text.substr(0, static_cast<size_t>(std::max(columns - 1, 0)));
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
  char best[32] = "-";  // nothing is evaluated yet
  if (std::isfinite(progress.best)) std::snprintf(best, sizeof best, "%.4f", progress.best);
  std::string done = std::to_string(progress.evaluations) + "/" +
                     std::to_string(progress.planned_evaluations) + " evaluations";
  if (progress.phase == Progress::Phase::kBaselines) done = "baselines";
  if (progress.phase == Progress::Phase::kHeldOut) done = "held-out documents";
  char text[240];
  std::snprintf(text, sizeof text, "%s: %s, best %s, %.3g%s/s, %s left", progress.stage.c_str(),
                done.c_str(), best, rate, terminal_ ? "" : " scores",
                DurationText(rate > 0 ? left / rate : INFINITY).c_str());
  return text;
}

void Console::Finish() {
  const std::lock_guard lock(mutex_);
  ClearBar();
}

void Console::OnProgress(const Progress& progress) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (progress.stage != stage_) {
    stage_ = progress.stage;
    scores_before_ = progress.scores - 1;
    began_ = now - std::chrono::duration_cast<Clock::duration>(
                       std::chrono::duration<double>(progress.seconds));
  }
  if (terminal_) {
    // Room for the longest text of a stage, so that the bar keeps its width.
    constexpr int kTextWidth = 64;
    const int columns = TerminalColumns();
    const int width =
        std::min(kBarWidth, columns - kTextWidth - static_cast<int>(progress.stage.size()));
    const double share =
        static_cast<double>(progress.scores) / static_cast<double>(progress.planned_scores);
    std::fprintf(stderr, "\r\033[K%s", BarLine(share, Line(progress), width, columns).c_str());
    bar_shown_ = true;
  } else if (now - said_ >= kQuiet) {
    said_ = now;
    logger_->info(Line(progress));
  }
}

void Console::OnMessage(const std::string& text) {
  const std::lock_guard lock(mutex_);
  ClearBar();
  logger_->info(text);
}

void Console::OnWarning(const std::string& text) {
  const std::lock_guard lock(mutex_);
  ClearBar();
  logger_->warn(text);
}

}  // namespace longrope
