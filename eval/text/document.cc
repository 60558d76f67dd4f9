#include "eval/text/document.h"

#include "eval/storage/digest.h"

namespace longrope {

std::string TokensDigest(const std::vector<int32_t>& tokens) {
  std::string lines;
  for (int32_t token : tokens) lines += std::to_string(token) + "\n";
  return Sha256Hex(lines);
}

}  // namespace longrope
