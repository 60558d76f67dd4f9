#include "eval/storage/digest.h"

#include <openssl/evp.h>

#include <new>
#include <stdexcept>

namespace longrope {

struct Sha256::Context {
  EVP_MD_CTX* hash = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(hash); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (context_->hash == nullptr) throw std::bad_alloc();
  if (EVP_DigestInit_ex(context_->hash, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("SHA-256 is not available in OpenSSL");
  }
}

Sha256::~Sha256() = default;

void Sha256::Add(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(context_->hash, bytes.data(), bytes.size()) != 1) {
    throw std::runtime_error("SHA-256 failed");
  }
}

void Sha256::Add(std::string_view text) { Add(std::as_bytes(std::span(text))); }

std::array<unsigned char, 32> Sha256::Finish() {
  std::array<unsigned char, 32> digest{};
  if (EVP_DigestFinal_ex(context_->hash, digest.data(), nullptr) != 1) {
    throw std::runtime_error("SHA-256 failed");
  }
  return digest;
}

std::string Hex(const std::array<unsigned char, 32>& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string Sha256Hex(std::string_view text) {
  Sha256 hash;
  hash.Add(text);
  return Hex(hash.Finish());
}

}  // namespace longrope
