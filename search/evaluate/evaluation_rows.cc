#include "search/evaluate/evaluation_rows.h"

#include <algorithm>

#include "eval/model/model_source.h"
#include "search/job/factors_name.h"
#include "search/job/model_options.h"

namespace longrope {
namespace {

// The model of a row that names none: where its factors were found.
std::string ModelOf(const FactorsName& name, const StageSources& sources,
                    const StageOptions& stage) {
  if (!name.model.empty()) return name.model;
  if (name.method) return stage.model;
  const StageOptions& source = sources.Stage(name.stage);
  return source.kind == "finetune" ? source.name : source.model;
}

}  // namespace

RopeFactors EvaluationRow::For(int64_t length) const {
  if (factors) return factors->For(length);
  const int64_t reach = target > 0 ? target : length;
  if (own && (method == RopeMethod::kNone || reach <= own->Longest().length)) {
    return own->For(length);
  }
  if (on.given) return MethodFactorsAfter(*method, on.shape, *on.given, reach, length, yarn);
  const double ratio =
      std::max(1.0, static_cast<double>(reach) / static_cast<double>(on.shape.original_length));
  return MethodFactors(*method, on.shape, ratio, length, yarn);
}

EvaluationRow RowOf(const std::string& text, const StageSources& sources, const StageOptions& stage,
                    StageEvaluators& evaluators) {
  const FactorsName name = ParseFactorsName(text, "rows");
  EvaluationRow row;
  row.label = text;
  row.model = ModelOf(name, sources, stage);
  row.path = sources.ModelPath(row.model);
  row.on = evaluators.ModelAt(row.path);
  if (WorkerTeam* workers = evaluators.Workers()) {
    row.own = workers->Greet({})->given;
  } else {
    row.own = ModelConfigOf(row.path, OverridesOf(sources.job().model)).own_factors;
  }
  row.method = name.method;
  row.target = name.target;
  row.yarn = stage.yarn;
  if (!name.method) row.factors = sources.FactorsOf(name.stage).Set();
  return row;
}

}  // namespace longrope
