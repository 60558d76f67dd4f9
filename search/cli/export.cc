#include <iostream>
#include <memory>

#include "eval/errors.h"
#include "eval/model/model_config.h"
#include "search/cli/command.h"
#include "search/cli/console.h"
#include "search/factors/hugging_face.h"
#include "search/factors/longrope_csv.h"
#include "search/job/job_file.h"
#include "search/job/run_folder.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

struct Arguments {
  std::string source, to, out, model, short_factors = "same";
  bool drop_start_tokens = false;
};

struct Source {
  fs::path path;
  FactorFile file;
  std::string model;  // folder, "" if unknown
};

Source OpenSource(const Arguments& arguments) {
  Source source{arguments.source, {}, arguments.model};
  if (fs::is_directory(source.path)) {
    const fs::path run = source.path;
    source.path = run / kFactorsFile;
    if (!fs::exists(source.path)) {
      throw InputError(run.string() + ": holds no " + std::string(kFactorsFile) +
                       "; is the run finished? (longrope resume)");
    }
    if (source.model.empty()) source.model = ReadJob(run / kJobFile, {}).model.path;
  }
  source.file = ReadFactorFile(source.path);
  return source;
}

// No format here has a place for n-hat: it is refused, or dropped with a word on what that costs.
void DropStartTokens(Source* source, const Arguments& arguments) {
  const int64_t start = source->file.Longest().factors.start_tokens;
  if (start == 0) return;
  if (!arguments.drop_start_tokens) {
    throw InputError(source->path.string() + ": the first " + std::to_string(start) +
                     " tokens keep their rotation, which " + arguments.to +
                     " cannot say; give --drop-start-tokens to rescale them too, or search with "
                     "runtime: hugging-face");
  }
  LogWarning("the first " + std::to_string(start) +
             " tokens will be rescaled too: scores of the search do not hold for this export "
             "(eval the result to see)");
  source->file.buckets.back().factors.start_tokens = 0;
}

void WarnOfWhatIsLost(const FactorFile& file, const Arguments& arguments) {
  if (file.buckets.size() > 1) {
    LogWarning("only the factors for " + std::to_string(file.Longest().length) +
               " tokens are exported; " + arguments.to + " has no place for the other lengths");
  }
  if (arguments.to == "longrope-csv" && file.Longest().factors.attention_factor != 1) {
    LogWarning("the file holds no attention factor; give the runtime m = " +
               Json(file.Longest().factors.attention_factor).dump());
  }
}

// The family of the model that the factors are for, "" if that is unknown. Throws InputError if
// they were made for another head size, base or original length.
std::string FamilyOf(const Source& source) {
  if (source.model.empty()) return "";
  const ModelConfig config = ReadModelConfig(source.model, {});
  CheckFactorsFit(source.file, source.path.string(),
                  {config.shape.head_dim, config.rope_base, config.original_length.value_or(0)});
  return config.family;
}

int Run(const Arguments& arguments) {
  Source source = OpenSource(arguments);
  WarnOfWhatIsLost(source.file, arguments);
  DropStartTokens(&source, arguments);
  FileSystem& files = FileSystem::Real();
  const RopeFactors& factors = source.file.Longest().factors;
  if (arguments.to == "longrope-csv") {
    ReplaceFile(files, arguments.out, WriteLongropeCsv(factors));
  } else {
    const auto fragment = HuggingFaceFragment(
        source.file, source.path.string(),
        arguments.short_factors == "ones" ? ShortFactors::kOnes : ShortFactors::kSame,
        FamilyOf(source));
    if (arguments.to == "hf-config") {
      ReplaceFile(files, arguments.out, fragment.dump(2) + "\n");
    } else if (source.model.empty()) {
      throw InputError("--to hf-folder needs --model, the folder to patch");
    } else {
      ExportModelFolder(files, source.model, arguments.out, fragment, factors);
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
  command->add_option("--model", arguments->model, "Model folder to patch (default: the run's)");
  command
      ->add_option("--short-factors", arguments->short_factors,
                   "Up to the original length: same (default) factors, or ones (plain rotation)")
      ->check(CLI::IsMember({"same", "ones"}));
  command->add_flag("--drop-start-tokens", arguments->drop_start_tokens,
                    "Rescale the first tokens too where the format cannot leave them alone");
  command->callback([=] { *action = [=](std::stop_token) { return Run(*arguments); }; });
}

}  // namespace longrope
