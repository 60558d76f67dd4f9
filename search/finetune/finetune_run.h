// A stage of kind `finetune` in its folder: an external command trains the model with factors that
// were found.
//
// leg-N/input is the folder to train (a Hugging Face folder with the leg's factors in its config),
// leg-N/output what the command made of it, the next leg's model; leg-N/factors.json the same
// factors as a factor file; leg-N/log.txt what the command wrote; leg-N/input.json and
// leg-N/done.json digests of what the leg began with and ended in, leg-N/trained.json command and
// digest of the ids once the command ended well; tokens.u32 the ids to train on.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "eval/model/model_config.h"
#include "search/job/stage_run.h"

namespace longrope {

// Where the model of a fine-tune stage is, once it is finished.
std::filesystem::path FinetunedModel(const Folder& folder, const StageOptions& stage);

// Where a leg's parts are, and how far it is.
struct FinetuneLeg {
  std::filesystem::path input, output, log;
  bool begun = false, done = false;
};
std::vector<FinetuneLeg> LegsOf(const Folder& folder, const StageOptions& stage);

class FinetuneRun final : public StageRun {
 public:
  // `sources`, `stage` and `observer` outlive the run. Throws InputError if the folder was begun by
  // another stage, naming the keys.
  FinetuneRun(const StageSources& sources, const StageOptions& stage, const Folder& folder,
              RunObserver& observer);

  bool IsDone() override;
  bool Prepare(std::stop_token stop) override;
  StageEnd Run(std::stop_token stop) override;

 private:
  struct Leg {
    int number = 0;  // from 1
    Folder folder;
    std::string model;   // folder whose weights it trains
    FactorFile factors;  // one bucket
  };

  int Legs() const { return static_cast<int>(stage_.finetune.factors.size()); }
  Folder LegFolder(int number) const { return folder_.Sub("leg-" + std::to_string(number)); }
  bool LegIsDone(int number) const;
  Leg LegOf(int number) const;
  FactorFile FactorsOf(const std::string& name, const ModelConfig& config) const;
  // Digests of model and factors.
  std::string InputRecord(const Leg& leg) const;
  // Throws InputError if the leg began from something else.
  void CheckInput(const Leg& leg) const;
  // Throws InputError if the output of a finished leg was replaced.
  void CheckDone(const Leg& leg) const;
  void MakeInput(const Leg& leg) const;
  // Where the ids to train on are; made if they are not. nullopt if stopped.
  std::optional<std::string> TokensFile(std::stop_token stop) const;
  StageEnd RunLeg(const Leg& leg, std::stop_token stop) const;
  StageEnd Train(const Leg& leg, std::stop_token stop) const;
  // Throws InputError that says what is wrong with the command's output.
  void CheckOutput(const Leg& leg) const;
  std::string Title(const Leg& leg) const;

  const StageSources& sources_;
  const StageOptions& stage_;
  Folder folder_;
  RunObserver& observer_;
};

}  // namespace longrope
