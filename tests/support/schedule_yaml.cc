#include "tests/support/schedule_yaml.h"

#include "tests/support/temp_folder.h"

namespace longrope::testing {

std::string ScheduleYaml(const std::filesystem::path& folder, const std::string& command) {
  const std::string text = SlurpFile(SourcePath("tests/golden/transformers/passage.txt"));
  std::filesystem::create_directories(folder / "texts");
  for (int i = 0; i < 6; ++i) {
    WriteFile(folder / "texts" / (std::to_string(i) + ".txt"),
              text.substr(text.find('\n', static_cast<size_t>(1000 * i)) + 1, 3500));
  }
  const std::string search =
      "kind: search, documents: 1, held_out: 1, population: 4, generations: 1, mutations: 2, "
      "crossovers: 1, parents: 3";
  std::string yaml =
      "seed: 3\nmodel: {path: " + SourcePath("data/tiny").string() +
      "}\ndata: {path: " + (folder / "texts").string() +
      ", fitness_books: [\"0\", \"1\"], held_out_books: [\"2\", \"3\"], train_books: [\"4\"]}\n"
      "output: {folder: " +
      (folder / "run").string() + "}\nstages:\n  - {name: one, " + search +
      ", length: 320}\n  - {name: tune, kind: finetune, factors: [one], steps: [2]";
  if (!command.empty()) yaml += ", command: \"" + command + "\"";
  yaml += "}\n  - {name: two, " + search +
          ", length: 400}\n  - {name: short, kind: readjust, preset: frugal, documents: 1, "
          "held_out: 1, lengths: [256, 300], warm_evaluations: 4, warm_batch: 4, "
          "warm_start_sweeps: 0, generations: 0, start_tokens: [0, 4], parents: 8}\n"
          "  - {name: rows, kind: evaluate, rows: [\"base:none\", \"base:yarn\", one, tune, two, "
          "short, \"tune:pi\"], lengths: [256, 400], documents: 2, resamples: 100}\n";
  WriteFile(folder / "schedule.yaml", yaml);
  return (folder / "schedule.yaml").string();
}

}  // namespace longrope::testing
