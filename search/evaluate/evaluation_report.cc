#include "search/evaluate/evaluation_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>

#include "eval/model/json_file.h"
#include "eval/number_text.h"
#include "eval/protocols/passkey_accuracy.h"

namespace longrope {
namespace {

using OrderedJson = nlohmann::ordered_json;

bool IsPasskey(const EvaluationCell& cell) { return cell.protocol == "passkey"; }

Score TotalOf(const EvaluationCell& cell) {
  Score total;
  for (const Measurement& one : cell.measured) {
    total.nats += one.score.nats;
    total.tokens += one.score.tokens;
  }
  return total;
}

// The tries of a passkey cell.
std::vector<PasskeyResult> TriesOf(const EvaluationCell& cell) {
  std::vector<PasskeyResult> tries;
  for (const Measurement& one : cell.measured) {
    tries.push_back({.depth = one.depth, .right = one.right});
  }
  return tries;
}

double ShareFound(const EvaluationCell& cell) { return AccuracyOf(TriesOf(cell)).Share(); }

std::vector<Score> ScoresOf(const EvaluationCell& cell) {
  std::vector<Score> scores;
  for (const Measurement& one : cell.measured) scores.push_back(one.score);
  return scores;
}

// The same for every cell, so that intervals do not depend on which others there are.
Rng Resampling(uint64_t seed, const StageOptions& stage) {
  return Rng(seed, stage.name + "/bootstrap", 0, 0);
}

// Of the perplexity itself: its difference to that of a model which is never surprised, 1.
Difference PerplexityInterval(const StageOptions& stage, const EvaluationCell& cell,
                              uint64_t seed) {
  std::vector<Score> certain = ScoresOf(cell);
  for (Score& score : certain) score.nats = 0;
  Rng rng = Resampling(seed, stage);
  Difference over_one =
      BootstrapDifference({{ScoresOf(cell), std::move(certain)}}, stage.evaluate.confidence,
                          stage.evaluate.resamples, rng);
  for (double* percent : {&over_one.percent, &over_one.low, &over_one.high}) {
    *percent = 1 + *percent / 100;
  }
  return over_one;
}

const EvaluationCell* ReferenceOf(const StageOptions& stage, const EvaluationCell& cell,
                                  const std::vector<EvaluationCell>& cells) {
  for (const EvaluationCell& other : cells) {
    if (other.protocol == cell.protocol && other.length == cell.length && other.start_tokens < 0 &&
        other.row == stage.evaluate.reference && &other != &cell) {
      return &other;
    }
  }
  return nullptr;
}

Difference ToReference(const StageOptions& stage, const EvaluationCell& cell,
                       const EvaluationCell& reference, uint64_t seed) {
  Rng rng = Resampling(seed, stage);
  return BootstrapDifference({{ScoresOf(cell), ScoresOf(reference)}}, stage.evaluate.confidence,
                             stage.evaluate.resamples, rng);
}

std::string Text(double number) { return std::isfinite(number) ? NumberText(number) : ""; }
// A field of a CSV (RFC 4180): titles come from file names.
std::string Quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}
std::string StartText(const EvaluationCell& cell) {
  return cell.start_tokens < 0 ? "" : std::to_string(cell.start_tokens);
}
OrderedJson Number(double number) {
  return std::isfinite(number) ? OrderedJson(number) : OrderedJson(nullptr);
}
OrderedJson Interval(const Difference& d) { return {Number(d.low), Number(d.high)}; }

OrderedJson FactorsJson(const RopeFactors& factors) {
  OrderedJson json;
  for (float value : factors.lambda) json["lambda"].push_back(ShortestDecimal(value));
  json["start_tokens"] = factors.start_tokens;
  json["attention_factor"] = factors.attention_factor;
  return json;
}

OrderedJson CellJson(const StageOptions& stage, const EvaluationCell& cell,
                     const std::vector<EvaluationCell>& cells, uint64_t seed) {
  OrderedJson json = {{"protocol", cell.protocol},
                      {"row", cell.row},
                      {"model", cell.model},
                      {"length", cell.length}};
  json["factors"] = FactorsJson(cell.factors);
  const Score total = TotalOf(cell);
  if (IsPasskey(cell)) {
    json["accuracy"] = ShareFound(cell);
    for (const Measurement& one : cell.measured) {
      json["tries"].push_back(
          {{"depth", one.depth}, {"right", one.right}, {"nats", Number(one.score.nats)}});
    }
    return json;
  }
  json["tokens"] = total.tokens;
  json["perplexity"] = Number(Perplexity(total.nats, total.tokens));
  json["interval"] = Interval(PerplexityInterval(stage, cell, seed));
  if (const EvaluationCell* reference = ReferenceOf(stage, cell, cells)) {
    const Difference difference = ToReference(stage, cell, *reference, seed);
    json["to_reference_percent"] = Number(difference.percent);
    json["to_reference_interval"] = Interval(difference);
  }
  return json;
}

OrderedJson ProtocolJson(const StageOptions& stage) {
  const EvaluateOptions& options = stage.evaluate;
  OrderedJson json;
  json["perplexity"] = "exp(nats / tokens) of each document's first tokens, in one pass";
  json["sliding"] =
      "windows of the length every " + std::to_string(options.stride) +
      " tokens, positions from 0 in each, a token scored in the first window that holds it, but "
      "for the first of a window as long as the stride";
  json["passkey"] = std::to_string(options.tries) + " tries a length";
  json["intervals"] = "percentile bootstrap over documents, " + NumberText(options.confidence) +
                      ", " + std::to_string(options.resamples) + " resamples";
  json["reference"] = options.reference;
  return json;
}

// A cell's row in a table.
std::string RowOf(const EvaluationCell& cell) {
  return cell.row + (cell.start_tokens < 0 ? "" : " n=" + StartText(cell));
}

// Rows of a protocol's table, in the order of the cells.
std::vector<std::string> RowsOf(const std::vector<const EvaluationCell*>& cells) {
  std::vector<std::string> rows;
  for (const EvaluationCell* cell : cells) {
    const std::string row = RowOf(*cell);
    if (std::ranges::find(rows, row) == rows.end()) rows.push_back(row);
  }
  return rows;
}

// Characters of a table's columns; negative: to the left.
constexpr int kFirstColumn = -28, kColumn = 11, kWideColumn = 22;

std::string Padded(const std::string& text, int width) {
  const auto missing = static_cast<size_t>(
      std::max<int64_t>(0, std::abs(width) - static_cast<int64_t>(text.size())));
  return width < 0 ? text + std::string(missing, ' ') : std::string(missing, ' ') + text;
}

// A row a line, a column of that width for each length.
std::string TableOf(const std::string& title, const std::vector<const EvaluationCell*>& cells,
                    int width, const std::function<std::string(const EvaluationCell&)>& text_of) {
  std::set<int64_t> lengths;
  for (const EvaluationCell* cell : cells) lengths.insert(cell->length);
  std::string text = Padded(title, kFirstColumn);
  for (int64_t length : lengths) text += " " + Padded(std::to_string(length), width);
  text += "\n";
  for (const std::string& row : RowsOf(cells)) {
    text += Padded(row, kFirstColumn);
    for (int64_t length : lengths) {
      const auto cell = std::ranges::find_if(cells, [&](const EvaluationCell* each) {
        return RowOf(*each) == row && each->length == length;
      });
      text += " " + Padded(cell == cells.end() ? "-" : text_of(**cell), width);
    }
    text += "\n";
  }
  return text;
}

std::string Formatted(const char* format, double value) {
  char text[40];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string ValueText(const EvaluationCell& cell) {
  if (IsPasskey(cell)) return Formatted("%.0f %%", 100 * ShareFound(cell));
  const Score total = TotalOf(cell);
  return Formatted("%.4f", Perplexity(total.nats, total.tokens));
}

// Right tries of all, of passkeys hidden in each fifth of the filler.
std::string DepthText(const std::vector<const EvaluationCell*>& cells) {
  constexpr int kParts = 5;
  std::string text = "passkeys found by depth, of all lengths (5 parts of the filler)\n";
  for (const std::string& row : RowsOf(cells)) {
    std::vector<PasskeyResult> tries;
    for (const EvaluationCell* cell : cells) {
      if (RowOf(*cell) == row) std::ranges::move(TriesOf(*cell), std::back_inserter(tries));
    }
    text += Padded(row, kFirstColumn);
    for (const PasskeyAccuracy& part : AccuracyByDepth(tries, kParts)) {
      text += " " + Padded(part.Text(), kColumn);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::string MeasurementsCsv(const std::vector<EvaluationCell>& cells,
                            const std::vector<Document>& documents) {
  std::string text = "protocol,row,model,length,start_tokens,document,tokens,nats,right,depth\n";
  for (const EvaluationCell& cell : cells) {
    for (size_t i = 0; i < cell.measured.size(); ++i) {
      const Measurement& one = cell.measured[i];
      const bool passkey = IsPasskey(cell);
      text += cell.protocol + "," + cell.row + "," + cell.model + "," +
              std::to_string(cell.length) + "," + StartText(cell) + "," +
              (passkey ? "try " + std::to_string(i + 1) : Quoted(documents[i].title)) + "," +
              std::to_string(one.score.tokens) + "," + NumberText(one.score.nats) + "," +
              (passkey ? (one.right ? "1" : "0") : "") + "," +
              (passkey ? NumberText(one.depth) : "") + "\n";
    }
  }
  return text;
}

std::string EvaluationCsv(const StageOptions& stage, const std::vector<EvaluationCell>& cells,
                          uint64_t seed) {
  std::string text =
      "protocol,row,model,length,start_tokens,tokens,perplexity,low,high,to_reference_percent,"
      "to_reference_low,to_reference_high,accuracy\n";
  for (const EvaluationCell& cell : cells) {
    const Score total = TotalOf(cell);
    text += cell.protocol + "," + cell.row + "," + cell.model + "," + std::to_string(cell.length) +
            "," + StartText(cell) + "," + std::to_string(total.tokens) + ",";
    if (IsPasskey(cell)) {
      text += ",,,,,," + NumberText(ShareFound(cell)) + "\n";
      continue;
    }
    const Difference interval = PerplexityInterval(stage, cell, seed);
    text += Text(Perplexity(total.nats, total.tokens)) + "," + Text(interval.low) + "," +
            Text(interval.high) + ",";
    const EvaluationCell* reference = ReferenceOf(stage, cell, cells);
    if (reference != nullptr) {
      const Difference difference = ToReference(stage, cell, *reference, seed);
      text += Text(difference.percent) + "," + Text(difference.low) + "," + Text(difference.high);
    } else {
      text += ",,";
    }
    text += ",\n";
  }
  return text;
}

std::string EvaluationJson(const StageOptions& stage, const std::vector<EvaluationCell>& cells,
                           const EvaluationFacts& facts, uint64_t seed) {
  OrderedJson json;
  json["stage"] = stage.name;
  json["protocols"] = ProtocolJson(stage);
  json["engine"] = facts.engine;
  for (const auto& [name, digest] : facts.models) json["models"][name] = digest;
  for (const Document& document : facts.documents) {
    OrderedJson item = {{"title", document.title},
                        {"ids_sha256", document.digest},
                        {"tokens", document.tokens.size()}};
    if (document.offset > 0) item["offset"] = document.offset;
    json["documents"].push_back(std::move(item));
  }
  for (const EvaluationCell& cell : cells) {
    json["cells"].push_back(CellJson(stage, cell, cells, seed));
  }
  return json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

std::string EvaluationText(const StageOptions& stage, const std::vector<EvaluationCell>& cells,
                           uint64_t seed) {
  const EvaluateOptions& options = stage.evaluate;
  std::string text;
  for (const std::string& protocol : options.protocols) {
    std::vector<const EvaluationCell*> own, compared;
    for (const EvaluationCell& cell : cells) {
      if (cell.protocol != protocol) continue;
      own.push_back(&cell);
      if (!IsPasskey(cell) && ReferenceOf(stage, cell, cells) != nullptr) compared.push_back(&cell);
    }
    if (own.empty()) continue;
    text += "\n" + TableOf(stage.name + ": " + protocol, own, kColumn, ValueText);
    if (protocol == "passkey") text += "\n" + DepthText(own);
    if (compared.empty()) continue;
    const auto difference = [&](const EvaluationCell& cell) {
      const Difference d = ToReference(stage, cell, *ReferenceOf(stage, cell, cells), seed);
      return Formatted("%+.1f", d.percent) + " [" + Formatted("%+.1f", d.low) + ", " +
             Formatted("%+.1f", d.high) + "]";
    };
    text += "\n% against " + options.reference + ", with intervals of " +
            NumberText(100 * options.confidence) + " % over documents\n" +
            TableOf("", compared, kWideColumn, difference);
  }
  return text;
}

}  // namespace longrope
