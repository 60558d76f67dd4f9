#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "eval/errors.h"
#include "eval/model/model_source.h"
#include "eval/number_text.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/cli/model_arguments.h"
#include "search/factors/hugging_face.h"
#include "search/factors/longrope_csv.h"
#include "search/factors/model_file.h"
#include "search/job/job_file.h"
#include "search/job/model_options.h"
#include "search/job/run_folder.h"
#include "search/job/stage_run.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

struct Arguments {
  ModelArguments model;
  std::string source, to, out, short_factors = "same";
  bool keep_start_tokens = false, drop_start_tokens = false, force = false;
};

struct Source {
  fs::path path;
  FactorFile file;
  std::string model;          // folder, "" if unknown
  ConfigOverrides overrides;  // of its config
  bool of_workers = false;    // who may know a model that this program cannot read
};

// The model that a run's factor file is for: the one that its last search worked on.
std::string SearchedModel(const Job& job, const fs::path& run) {
  const StageSources sources(job, Folder(FileSystem::Real(), run));
  const auto last = std::find_if(job.stages.rbegin(), job.stages.rend(),
                                 [](const StageOptions& stage) { return stage.Searches(); });
  return last == job.stages.rend() ? job.model.path : sources.ModelPath(last->model);
}

Source OpenSource(const Arguments& arguments) {
  Source source{arguments.source, {}, arguments.model.path, arguments.model.Overrides()};
  if (fs::is_directory(source.path)) {
    const fs::path run = source.path;
    source.path = run / kFactorsFile;
    if (!fs::exists(source.path)) {
      throw InputError(run.string() + ": holds no " + std::string(kFactorsFile) +
                       "; is the run finished? (longrope resume)");
    }
    if (source.model.empty()) {
      const Job job = ReadJob(run / kJobFile, {});
      source.model = SearchedModel(job, run);
      source.overrides = OverridesOf(job.model);
      source.of_workers = !job.backend.command.empty();
    }
  }
  source.file = ReadFactorFile(source.path);
  return source;
}

// No format here has a place for n-hat: a model folder may bring code that keeps it, else it is
// refused, or dropped; each with a word on what that costs.
void DecideOnStartTokens(Source* source, const Arguments& arguments) {
  const bool folder = arguments.to == "hf-folder";
  if (arguments.keep_start_tokens && !folder) {
    throw InputError("--keep-start-tokens: " + arguments.to +
                     " has no place for them; allowed: --to hf-folder");
  }
  int64_t& start = source->file.buckets.back().factors.start_tokens;
  if (start == 0) return;
  const std::string count = "the first " + std::to_string(start) + " tokens ";
  if (arguments.keep_start_tokens) {
    LogWarning(count + "keep their rotation by code in the folder (" + kModelFileName +
               "), which transformers runs with trust_remote_code=True only; without it, it "
               "rescales them too and does not say so. Other runtimes (vLLM, SGLang, llama.cpp, "
               "...) do not know the code: they refuse the folder, or rescale them too");
  } else if (arguments.drop_start_tokens) {
    LogWarning(count +
               "will be rescaled too: scores of the search do not hold for this export "
               "(eval the result to see)");
    start = 0;
  } else {
    throw InputError(source->path.string() + ": " + count + "keep their rotation, which " +
                     arguments.to + " cannot say; give " +
                     (folder ? "--keep-start-tokens" : "--to hf-folder --keep-start-tokens") +
                     " to have code for transformers keep it, or --drop-start-tokens to rescale "
                     "them too, or search with runtime: hugging-face");
  }
}

void WarnOfWhatIsLost(const FactorFile& file, const Arguments& arguments,
                      const std::string& family) {
  const double m = file.Longest().factors.attention_factor;
  if (file.buckets.size() > 1) {
    LogWarning("only the factors for " + std::to_string(file.Longest().length) +
               " tokens are exported; " + arguments.to + " has no place for the other lengths");
  }
  if (arguments.to == "longrope-csv") {
    if (m != 1)
      LogWarning("the file holds no attention factor; give the runtime m = " + NumberText(m));
    return;
  }
  if (arguments.short_factors == "ones") {
    LogWarning(
        "up to the original length cos and sin are still multiplied by m = " + NumberText(m) +
        ", and runtimes differ in when they change to the long factors: a "
        "text that grows across that length meets keys rotated by the short ones");
  }
  if (family.empty()) {
    LogWarning(
        "the model is unknown: for a Mistral set sliding_window to null too (or give "
        "--model)");
  }
}

// What the file does not state is the model's.
void CompleteFrom(const RopeShape& model, FactorFile* file) {
  if (file->rope_base == 0) file->rope_base = model.base;
  if (file->original_length == 0) file->original_length = model.original_length;
}

// nullopt if the model is unknown, or only workers can read it and the format does without.
std::optional<ModelConfig> ConfigOf(const Source& source, const std::string& format) {
  if (source.model.empty()) return std::nullopt;
  try {
    return ModelConfigOf(source.model, source.overrides);
  } catch (const InputError& error) {
    if (format == "hf-folder") {
      throw InputError(std::string(error.what()) +
                       "; of a model that this program cannot read, --to hf-config writes the keys "
                       "for its config.json");
    }
    if (!source.of_workers) throw;
    return std::nullopt;
  }
}

// The family of the model that the factors are for, "" if that is unknown. Throws InputError if
// they were made for another head size, base or original length.
std::string FamilyOf(Source* source, const std::string& format) {
  const auto config = ConfigOf(*source, format);
  if (!config) return "";
  const RopeShape shape = config->KnownRope();
  CheckFactorsFit(source->file, source->path.string(), shape);
  CompleteFrom(shape, &source->file);
  return config->family;
}

// Writes a file that is not there yet.
void WriteNew(const Arguments& arguments, const std::string& text) {
  if (fs::exists(arguments.out) && !arguments.force) {
    throw InputError(arguments.out + ": exists; give another --out, or --force to write over it");
  }
  ReplaceFile(FileSystem::Real(), arguments.out, text);
}

int Run(const Arguments& arguments) {
  Source source = OpenSource(arguments);
  if (arguments.to == "hf-folder" && source.model.empty()) {
    throw InputError("--to hf-folder needs --model, the folder to patch");
  }
  const std::string family = FamilyOf(&source, arguments.to);
  DecideOnStartTokens(&source, arguments);
  WarnOfWhatIsLost(source.file, arguments, family);
  const RopeFactors& factors = source.file.Longest().factors;
  if (arguments.to == "longrope-csv") {
    WriteNew(arguments, WriteLongropeCsv(factors));
  } else {
    const auto fragment = HuggingFaceFragment(
        source.file, source.path.string(),
        arguments.short_factors == "ones" ? ShortFactors::kOnes : ShortFactors::kSame, family);
    if (arguments.to == "hf-config") {
      WriteNew(arguments, fragment.dump(2) + "\n");
    } else {
      ExportModelFolder(FileSystem::Real(), source.model, arguments.out, fragment, factors);
    }
  }
  std::cout << arguments.out << "\n";
  return kExitDone;
}

}  // namespace

void AddExport(CLI::App& app, Action* action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("export", "Write factors as other runtimes read them");
  command->add_option("source", arguments->source, "Factor file, or folder of a finished run")
      ->required();
  command
      ->add_option("--to", arguments->to,
                   "longrope-csv (the paper's released code), hf-config (keys for config.json), "
                   "hf-folder (a whole model folder with them)")
      ->required()
      ->check(CLI::IsMember({"longrope-csv", "hf-config", "hf-folder"}));
  command->add_option("--out", arguments->out, "File or folder to write")->required();
  AddModelArguments(*command, &arguments->model, false);  // default: the run's
  command
      ->add_option("--short-factors", arguments->short_factors,
                   "Up to the original length: same (default) factors, or ones (m stays in force)")
      ->check(CLI::IsMember({"same", "ones"}));
  CLI::Option* keep = command->add_flag(
      "--keep-start-tokens", arguments->keep_start_tokens,
      "hf-folder: leave the first tokens alone by model code in the folder, which transformers "
      "runs with trust_remote_code=True and other runtimes do not know");
  command
      ->add_flag("--drop-start-tokens", arguments->drop_start_tokens,
                 "Rescale the first tokens too where the format cannot leave them alone")
      ->excludes(keep);
  command->add_flag("--force", arguments->force, "Write over an existing file");
  command->callback([=] { *action = [=] { return Run(*arguments); }; });
}

}  // namespace longrope
