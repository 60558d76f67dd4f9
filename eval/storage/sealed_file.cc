#include "eval/storage/sealed_file.h"

#include <array>
#include <cstring>

#include "eval/errors.h"
#include "eval/storage/digest.h"

namespace longrope {
namespace {

constexpr std::string_view kMagic = "LONGROPE-SEAL";  // padded with zeros to kMagicBytes
constexpr size_t kMagicBytes = 16, kTrailerBytes = kMagicBytes + 4 + 4 + 8 + 32;

std::string Trailer(std::string_view bytes, uint32_t version) {
  std::string trailer(kMagic);
  trailer.resize(kMagicBytes, '\0');
  const auto add = [&trailer](uint64_t value, int count) {
    for (int i = 0; i < count; ++i) trailer += static_cast<char>(value >> (8 * i) & 255);
  };
  add(version, 4);
  add(kTrailerBytes, 4);
  add(bytes.size(), 8);
  Sha256 hash;
  hash.Add(bytes);
  hash.Add(trailer);  // a flipped bit of the trailer itself is found too
  for (unsigned char byte : hash.Finish()) trailer += static_cast<char>(byte);
  return trailer;
}

}  // namespace

std::string Seal(std::string bytes, uint32_t version) {
  bytes += Trailer(bytes, version);
  return bytes;
}

std::string Unseal(std::string sealed, uint32_t version, const std::string& name) {
  if (sealed.size() < kTrailerBytes) {
    throw InputError(name + ": is cut off (" + std::to_string(sealed.size()) + " bytes)");
  }
  const std::string trailer = sealed.substr(sealed.size() - kTrailerBytes);
  sealed.resize(sealed.size() - kTrailerBytes);
  if (trailer != Trailer(sealed, version)) {
    throw InputError(name + ": is damaged or of another version (its digest does not match)");
  }
  return sealed;
}

}  // namespace longrope
