// SHA-256, through OpenSSL.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace longrope {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void Add(std::span<const std::byte> bytes);
  void Add(std::string_view text);
  // The digest of all that was added; nothing can be added afterwards.
  std::array<unsigned char, 32> Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// 64 lower-case hexadecimal digits.
std::string Hex(const std::array<unsigned char, 32>& digest);
std::string Sha256Hex(std::string_view text);

}  // namespace longrope
