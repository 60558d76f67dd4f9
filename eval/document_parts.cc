#include "eval/document_parts.h"

#include <algorithm>

#include "eval/storage/digest.h"

namespace longrope {
namespace {

// How many tokens count, which, and why.
std::string ScoredText(const Document& document) {
  const auto count = std::ranges::count(document.scored, uint8_t{1});
  return std::to_string(count) + " " +
         Sha256Hex(std::string(document.scored.begin(), document.scored.end())) + " " +
         document.objective;
}

}  // namespace

FingerprintParts DocumentParts(const std::vector<Document>& documents) {
  FingerprintParts parts;
  for (size_t i = 0; i < documents.size(); ++i) {
    const Document& document = documents[i];
    const std::string name = "document " + std::to_string(i);
    parts.emplace_back(name, document.title + " " + document.digest);
    if (document.offset > 0) {
      parts.emplace_back(name + " offset", std::to_string(document.offset));
    }
    if (!document.scored.empty()) parts.emplace_back(name + " scored", ScoredText(document));
  }
  return parts;
}

}  // namespace longrope
