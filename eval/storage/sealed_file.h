// Bytes with a trailer that proves them whole: {magic, version, length, SHA-256}.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace longrope {

// bytes + trailer of 64 bytes. Readers that ignore trailing bytes (HDF5) still read the file.
std::string Seal(std::string bytes, uint32_t version);

// The bytes without their trailer; throws InputError that starts with `name` if the trailer is
// missing, of another version, or does not match.
std::string Unseal(std::string sealed, uint32_t version, const std::string& name);

}  // namespace longrope
