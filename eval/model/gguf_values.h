// The keys and values of a GGUF file, typed and bounded.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longrope {

// Reads a header from its begin; never beyond its end. Every error is an InputError
// "<name>: byte <offset>: ...".
class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> bytes, std::string name);
  const std::string& name() const { return name_; }
  size_t at() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }
  // A number of type T. `what` names it in the error.
  template <class T>
  T Read(const char* what);
  // A length of 8 bytes and so many bytes, which live as long as the file.
  std::string_view ReadText(const char* what);
  // Passes `count` elements of `size` bytes and returns them.
  std::span<const std::byte> Take(uint64_t count, uint64_t size, const char* what);
  [[noreturn]] void Refuse(const std::string& why) const;

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
  size_t at_ = 0;
};

// All keys with their values; views into the file they come from. The getters throw InputError
// "<file>: <key>: ..." for a value of another type or out of range, and give nullopt where the key
// is missing.
class GgufValues {
 public:
  GgufValues() = default;
  // Reads `count` of them. Throws InputError for what is not GGUF: unknown types, arrays of arrays,
  // counts that do not fit, keys that are empty or stand twice.
  GgufValues(GgufCursor& cursor, uint64_t count);

  const std::string& name() const { return name_; }  // of the file
  bool Has(std::string_view key) const { return values_.contains(key); }
  std::vector<std::string> Keys() const;
  std::optional<std::string> Text(std::string_view key) const;
  std::optional<bool> Flag(std::string_view key) const;
  std::optional<double> Number(std::string_view key) const;  // finite
  // A whole number in [low, high], of any integer type.
  std::optional<int64_t> Integer(std::string_view key, int64_t low, int64_t high) const;
  // Elements of an array.
  std::optional<uint64_t> Count(std::string_view key) const;
  // Arrays. The texts are whatever bytes stand in the file.
  std::optional<std::vector<std::string_view>> Texts(std::string_view key) const;
  std::optional<std::vector<float>> Floats(std::string_view key) const;  // of float32, finite
  std::optional<std::vector<int64_t>> Integers(std::string_view key, int64_t low,
                                               int64_t high) const;
  [[noreturn]] void Refuse(std::string_view key, const std::string& why) const;

 private:
  struct Value {
    uint32_t type = 0, element = 0;    // element: of an array
    uint64_t count = 0;                // elements of an array
    std::span<const std::byte> bytes;  // of a text without its length
  };
  static Value ReadValue(GgufCursor& cursor);
  const Value* Find(std::string_view key) const;
  const Value* FindArray(std::string_view key, const char* of) const;

  std::string name_;
  std::map<std::string_view, Value> values_;
};

}  // namespace longrope
