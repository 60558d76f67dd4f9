#include "search/job/results.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>

#include "eval/number_text.h"

namespace longrope {
namespace {

std::string Text(const std::optional<double>& number) { return number ? NumberText(*number) : ""; }

template <class List, class ToText>
std::string Spaced(const List& list, const ToText& to_text) {
  std::string text;
  for (const auto& item : list) text += (text.empty() ? "" : " ") + to_text(item);
  return text;
}

std::string HistoryLine(const StageView& stage, const Candidate& candidate) {
  const RopeFactors factors = stage.plan.space.Decode(candidate.genome);
  std::vector<int64_t> parents;
  for (int64_t parent : candidate.parents) {
    if (parent != kNoParent) parents.push_back(parent);
  }
  std::vector<Score> scores;  // of the fitness documents it met
  for (int i = 0; i < stage.state.population.fitness(); ++i) {
    const auto& score = candidate.scores[static_cast<size_t>(i)];
    if (score) scores.push_back(*score);
  }
  const auto integer = [](int64_t value) { return std::to_string(value); };
  return stage.state.name + "," + std::to_string(candidate.id) + "," +
         std::to_string(candidate.generation) + "," + std::string(NameOf(candidate.origin)) + "," +
         Spaced(parents, integer) + "," + std::to_string(factors.start_tokens) + "," +
         NumberText(factors.attention_factor) + "," +
         Text(stage.state.population.Fitness(candidate.id)) + "," +
         std::string(NameOf(candidate.stopped)) + "," +
         Spaced(scores, [](const Score& score) { return NumberText(score.nats); }) + "," +
         Spaced(scores, [](const Score& score) { return std::to_string(score.tokens); }) + "," +
         Spaced(factors.lambda, [](float value) { return FloatText(value); }) + "\n";
}

// JSON has no infinity: what is not finite is null.
Json PerplexityJson(const std::optional<double>& perplexity) {
  return perplexity && std::isfinite(*perplexity) ? Json(*perplexity) : Json(nullptr);
}

std::optional<double> HeldOutOf(const StageView& stage, const Candidate& candidate) {
  if (stage.state.population.held_out() == 0) return std::nullopt;
  return stage.state.population.HeldOut(candidate.id);
}

Json CorpusJson(const StageView& stage) {
  Json corpus = {{"fitness", Json::array()}, {"held_out", Json::array()}};
  std::map<std::string, std::string> parts(stage.state.fingerprint.begin(),
                                           stage.state.fingerprint.end());
  const StageOptions& options = stage.plan.options;
  for (int i = 0; i < options.documents + options.held_out; ++i) {
    const std::string name = "document " + std::to_string(i);
    if (!parts.contains(name)) break;
    const std::string& value = parts[name];
    const size_t space = value.rfind(' ');
    Json document = {{"title", value.substr(0, space)},
                     {"ids_sha256", value.substr(space + 1)},
                     {"tokens", options.length}};
    if (parts.contains(name + " offset")) document["offset"] = std::stoll(parts[name + " offset"]);
    if (parts.contains(name + " scored")) {
      const std::string& scored = parts[name + " scored"];  // count, digest, objective
      document["scored"] = std::stoll(scored);
      document["objective"] = scored.substr(scored.find(' ', scored.find(' ') + 1) + 1);
    }
    corpus[i < options.documents ? "fitness" : "held_out"].push_back(std::move(document));
  }
  return corpus;
}

Json ScoresJson(const StageView& stage, const Candidate& winner) {
  Json scores = {{"fitness", PerplexityJson(stage.state.population.Fitness(winner.id))},
                 {"held_out", PerplexityJson(HeldOutOf(stage, winner))},
                 {"evaluations", stage.state.population.SettledCount()},
                 {"evaluation_scores", stage.state.population.SettledScores()},
                 {"baselines", Json::array()}};
  for (const TableRow& row : ResultTable({stage})) {
    if (row.method == "searched") continue;
    scores["baselines"].push_back({{"method", row.method},
                                   {"attention_factor", row.attention_factor},
                                   {"fitness", PerplexityJson(row.fitness)},
                                   {"held_out", PerplexityJson(row.held_out)}});
  }
  return scores;
}

std::string RacingText(const Population& population) {
  const auto stopped = [&](StopReason reason) {
    return std::ranges::count(population.candidates(), reason, &Candidate::stopped);
  };
  const auto certain = stopped(StopReason::kCertain), likely = stopped(StopReason::kLikely);
  if (population.fitness() == 1) return "";  // nothing to race over
  char line[160];
  std::snprintf(line, sizeof line,
                "  racing stopped %lld (certain %lld, likely %lld): %lld scores saved\n",
                static_cast<long long>(certain + likely), static_cast<long long>(certain),
                static_cast<long long>(likely),
                static_cast<long long>(population.SettledCount() * population.fitness() -
                                       population.SettledScores()));
  return line;
}

std::string AttentionPolicyName(const StageOptions& options) {
  const std::string& text = options.attention;
  const bool number = !text.empty() && (text[0] < 'a' || text[0] > 'z');
  return number ? "number" : text;
}

}  // namespace

std::string HistoryCsv(const std::vector<StageView>& stages) {
  std::string text =
      "stage,id,generation,origin,parents,start_tokens,attention_factor,perplexity,stopped,nats,"
      "tokens,lambda\n";
  for (const StageView& stage : stages) {
    for (const Candidate& candidate : stage.state.population.candidates()) {
      if (stage.state.population.Settled(candidate.id)) text += HistoryLine(stage, candidate);
    }
  }
  return text;
}

std::vector<TableRow> ResultTable(const std::vector<StageView>& stages) {
  std::vector<TableRow> rows;
  for (const StageView& stage : stages) {
    const bool held_out = stage.state.population.held_out() > 0;
    for (const BaselineState& baseline : stage.state.baselines) {
      rows.push_back({stage.state.name, MethodLabel(baseline.baseline),
                      baseline.baseline.factors.attention_factor, 0, stage.state.Fitness(baseline),
                      held_out ? stage.state.HeldOut(baseline) : std::nullopt});
    }
    if (const Candidate* winner = stage.state.Winner()) {
      const RopeFactors factors = stage.plan.space.Decode(winner->genome);
      rows.push_back({stage.state.name, "searched", factors.attention_factor, factors.start_tokens,
                      stage.state.population.Fitness(winner->id), HeldOutOf(stage, *winner)});
    }
  }
  return rows;
}

std::string TableCsv(const std::vector<TableRow>& rows) {
  std::string text =
      "stage,method,attention_factor,start_tokens,fitness_perplexity,held_out_perplexity\n";
  for (const TableRow& row : rows) {
    text += row.stage + "," + row.method + "," + NumberText(row.attention_factor) + "," +
            std::to_string(row.start_tokens) + "," + Text(row.fitness) + "," + Text(row.held_out) +
            "\n";
  }
  return text;
}

std::string TableText(const std::vector<TableRow>& rows) {
  std::map<std::string, std::pair<double, double>> best;  // of fitness and held-out, by stage
  for (const TableRow& row : rows) {
    auto& [fitness, held_out] =
        best.try_emplace(row.stage, std::pair(INFINITY, INFINITY)).first->second;
    fitness = std::min(fitness, row.fitness.value_or(INFINITY));
    held_out = std::min(held_out, row.held_out.value_or(INFINITY));
  }
  const auto cell = [](const std::optional<double>& value, double lowest) {
    char text[32] = "-";
    if (value) {
      std::snprintf(text, sizeof text, "%.4f%c", *value, *value == lowest ? '*' : ' ');
    }
    return std::string(text);
  };
  char line[200];
  std::snprintf(line, sizeof line, "%-12s %-28s %7s %6s %13s %13s\n", "stage", "method", "m",
                "start", "fitness", "held-out");
  std::string text = line;
  for (const TableRow& row : rows) {
    const auto& [fitness, held_out] = best[row.stage];
    std::snprintf(line, sizeof line, "%-12s %-28s %7.4f %6lld %13s %13s\n", row.stage.c_str(),
                  row.method.c_str(), row.attention_factor,
                  static_cast<long long>(row.start_tokens), cell(row.fitness, fitness).c_str(),
                  cell(row.held_out, held_out).c_str());
    text += line;
  }
  return text;
}

std::string Verdict(const std::vector<TableRow>& rows) {
  std::string text;
  for (const TableRow& winner : rows) {
    if (winner.method != "searched") continue;
    const auto beaten_on = [&](std::optional<double> TableRow::*column) {
      return std::ranges::all_of(rows, [&](const TableRow& row) {
        return row.stage != winner.stage || row.method == "searched" ||
               (winner.*column).value_or(INFINITY) < (row.*column).value_or(INFINITY);
      });
    };
    const auto say = [&](std::optional<double> TableRow::*column, const char* documents) {
      return std::string(beaten_on(column) ? "beats every baseline"
                                           : "does not beat every baseline") +
             " on the " + documents + " documents";
    };
    text += winner.stage + ": the winner " + say(&TableRow::fitness, "fitness");
    if (winner.held_out) text += " and " + say(&TableRow::held_out, "held-out");
    text += "\n";
  }
  return text;
}

std::string OperatorText(const StageView& stage) {
  const Population& population = stage.state.population;
  const auto parents = static_cast<size_t>(stage.plan.options.evolution.parents);
  int made[kOrigins] = {}, survived[kOrigins] = {};
  std::vector<int64_t> ranked = population.Ranked();
  const auto& all = population.candidates();
  const auto generation = [&](int64_t id) { return all[static_cast<size_t>(id)].generation; };
  for (size_t place = 0; place < ranked.size(); ++place) {
    const int own = generation(ranked[place]);
    const auto better =
        std::ranges::count_if(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(place),
                              [&](int64_t id) { return generation(id) <= own; });
    const auto origin = static_cast<size_t>(all[static_cast<size_t>(ranked[place])].origin);
    survived[origin] += static_cast<size_t>(better) < parents;
  }
  for (const Candidate& candidate : all) {
    made[static_cast<size_t>(candidate.origin)] += population.Settled(candidate.id);
  }
  std::string text;
  char line[160];
  for (int origin = 0; origin < kOrigins; ++origin) {
    if (made[origin] == 0) continue;
    std::snprintf(line, sizeof line, "  %-17s made %5d, survived %5d\n",
                  std::string(NameOf(static_cast<Origin>(origin))).c_str(), made[origin],
                  survived[origin]);
    text += line;
  }
  return text + RacingText(population);
}

std::string BestJson(const StageView& stage) {
  const Candidate& best = *stage.state.Winner();
  const RopeFactors factors = stage.plan.space.Decode(best.genome);
  nlohmann::ordered_json json;
  json["stage"] = stage.state.name;
  json["id"] = best.id;
  json["generation"] = best.generation;
  json["perplexity"] = PerplexityJson(stage.state.population.Fitness(best.id));
  json["target_length"] = stage.plan.options.length;
  json["start_tokens"] = factors.start_tokens;
  json["attention_factor"] = factors.attention_factor;
  for (float value : factors.lambda) json["lambda"].push_back(ShortestDecimal(value));
  return json.dump(2) + "\n";
}

FactorFile WinningFactors(const std::vector<StageView>& stages, const std::string& job_digest) {
  std::map<int64_t, const StageView*> by_length;
  for (const StageView& stage : stages) by_length[stage.plan.options.length] = &stage;
  FactorFile file;
  const RopeShape& shape = stages.front().plan.model.shape;
  file.original_length = shape.original_length;
  file.rope_base = shape.base;
  file.head_dim = shape.head_dim;
  file.provenance["job_digest"] = job_digest;
  for (const auto& [length, stage] : by_length) {
    const Candidate& winner = *stage->state.Winner();
    file.buckets.push_back({length, stage->plan.space.Decode(winner.genome),
                            AttentionPolicyName(stage->plan.options)});
    for (const auto& [name, value] : stage->state.fingerprint) {
      if (name == "model") file.provenance["model_digest"] = value;
    }
    file.provenance["corpus"][stage->state.name] = CorpusJson(*stage);
    file.provenance["scores"][stage->state.name] = ScoresJson(*stage, winner);
  }
  return file;
}

}  // namespace longrope
