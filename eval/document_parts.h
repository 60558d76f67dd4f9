// What a fingerprint says of documents.
#pragma once

#include <vector>

#include "eval/evaluator.h"
#include "eval/text/document.h"

namespace longrope {

// "document N" for each, N from 0: title and ids; where it is so, its offset and which tokens
// count.
FingerprintParts DocumentParts(const std::vector<Document>& documents);

}  // namespace longrope
