#include "eval/model/gguf_values.h"

#include <cmath>
#include <cstring>

#include "eval/errors.h"
#include "eval/shown_text.h"

namespace longrope {
namespace {

// Value types by their numbers in the file.
enum Type : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kText,
  kArray,
  kU64,
  kI64,
  kF64,
  kTypes
};

constexpr uint64_t kMaxKeys = 1 << 16;
constexpr uint64_t kMaxKeyBytes = (1 << 16) - 1;  // the format's own limit
// Of an array: eight times the largest vocabularies, and 32 MB as views of texts.
constexpr uint64_t kMaxElements = 1 << 21;

// 0 for texts and arrays.
uint64_t SizeOfType(uint32_t type) {
  constexpr uint64_t kSizes[kTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kSizes[type];
}

template <class T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

bool IsInteger(uint32_t type) { return type <= kI32 || type == kU64 || type == kI64; }

// nullopt: above the range of int64_t.
std::optional<int64_t> LoadInteger(const std::byte* from, uint32_t type) {
  switch (type) {
    case kU8:
      return Load<uint8_t>(from);
    case kI8:
      return Load<int8_t>(from);
    case kU16:
      return Load<uint16_t>(from);
    case kI16:
      return Load<int16_t>(from);
    case kU32:
      return Load<uint32_t>(from);
    case kI32:
      return Load<int32_t>(from);
    case kI64:
      return Load<int64_t>(from);
    default: {
      const auto value = Load<uint64_t>(from);
      if (value > INT64_MAX) return std::nullopt;
      return static_cast<int64_t>(value);
    }
  }
}

std::string Allowed(int64_t low, int64_t high) {
  return "; allowed: whole numbers from " + std::to_string(low) + " to " + std::to_string(high);
}

}  // namespace

GgufCursor::GgufCursor(std::span<const std::byte> bytes, std::string name)
    : bytes_(bytes), name_(std::move(name)) {}

void GgufCursor::Refuse(const std::string& why) const {
  throw InputError(name_ + ": byte " + std::to_string(at_) + ": " + why);
}

std::span<const std::byte> GgufCursor::Take(uint64_t count, uint64_t size, const char* what) {
  if (size > 0 && count > left() / size) {
    Refuse(std::string(what) + " of " + std::to_string(count) +
           (size > 1 ? " times " + std::to_string(size) : "") + " bytes does not fit; there are " +
           std::to_string(left()) + " bytes left (is the file cut off, or not GGUF?)");
  }
  const auto taken = bytes_.subspan(at_, count * size);
  at_ += taken.size();
  return taken;
}

template <class T>
T GgufCursor::Read(const char* what) {
  return Load<T>(Take(1, sizeof(T), what).data());
}
template uint32_t GgufCursor::Read<uint32_t>(const char*);
template uint64_t GgufCursor::Read<uint64_t>(const char*);

std::string_view GgufCursor::ReadText(const char* what) {
  const auto length = Read<uint64_t>(what);
  const auto bytes = Take(length, 1, what);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

GgufValues::Value GgufValues::ReadValue(GgufCursor& cursor) {
  Value value;
  const auto read_type = [&] {
    const auto type = cursor.Read<uint32_t>("a value's type");
    if (type >= kTypes) {
      cursor.Refuse("value type " + std::to_string(type) + "; allowed: 0 to " +
                    std::to_string(kTypes - 1));
    }
    return type;
  };
  const auto pass_text = [&] { return std::as_bytes(std::span(cursor.ReadText("a text"))); };
  value.type = read_type();
  if (value.type == kText) {
    value.bytes = pass_text();
  } else if (value.type != kArray) {
    value.bytes = cursor.Take(1, SizeOfType(value.type), "a value");
    if (value.type == kBool && std::to_integer<int>(value.bytes[0]) > 1) {
      cursor.Refuse("a flag of " + std::to_string(std::to_integer<int>(value.bytes[0])) +
                    "; allowed: 0, 1");
    }
  } else {
    value.element = read_type();
    if (value.element == kArray) cursor.Refuse("an array of arrays is not supported");
    value.count = cursor.Read<uint64_t>("an array's length");
    if (value.count > kMaxElements) {
      cursor.Refuse("an array of " + std::to_string(value.count) + " elements; allowed: up to " +
                    std::to_string(kMaxElements));
    }
    if (value.element != kText) {
      value.bytes = cursor.Take(value.count, SizeOfType(value.element), "an array");
    } else {
      GgufCursor ahead = cursor;
      for (uint64_t i = 0; i < value.count; ++i) pass_text();
      value.bytes = ahead.Take(cursor.at() - ahead.at(), 1, "an array");
    }
  }
  return value;
}

GgufValues::GgufValues(GgufCursor& cursor, uint64_t count) : name_(cursor.name()) {
  if (count > kMaxKeys) {
    cursor.Refuse(std::to_string(count) + " keys; allowed: up to " + std::to_string(kMaxKeys));
  }
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view key = cursor.ReadText("a key");
    if (key.empty() || key.size() > kMaxKeyBytes) {
      cursor.Refuse("a key of " + std::to_string(key.size()) + " bytes; allowed: 1 to " +
                    std::to_string(kMaxKeyBytes));
    }
    if (values_.contains(key)) cursor.Refuse("key " + Quoted(key) + " stands twice");
    values_.emplace(key, ReadValue(cursor));
  }
}

void GgufValues::Refuse(std::string_view key, const std::string& why) const {
  throw InputError(name_ + ": " + Shown(key) + ": " + why);
}

std::vector<std::string> GgufValues::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : values_) keys.emplace_back(key);
  return keys;
}

const GgufValues::Value* GgufValues::Find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

const GgufValues::Value* GgufValues::FindArray(std::string_view key, const char* of) const {
  const Value* value = Find(key);
  if (value && value->type != kArray) Refuse(key, std::string("expected an array of ") + of);
  return value;
}

std::optional<std::string> GgufValues::Text(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return std::nullopt;
  if (value->type != kText) Refuse(key, "expected a text");
  return std::string(reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size());
}

std::optional<bool> GgufValues::Flag(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return std::nullopt;
  if (value->type != kBool) Refuse(key, "expected a flag");
  return value->bytes[0] != std::byte{0};
}

std::optional<double> GgufValues::Number(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return std::nullopt;
  double number = NAN;
  if (value->type == kF32) {
    number = Load<float>(value->bytes.data());
  } else if (value->type == kF64) {
    number = Load<double>(value->bytes.data());
  } else if (IsInteger(value->type)) {
    if (const auto whole = LoadInteger(value->bytes.data(), value->type)) {
      number = static_cast<double>(*whole);
    }
  }
  if (!std::isfinite(number)) Refuse(key, "expected a number");
  return number;
}

std::optional<int64_t> GgufValues::Integer(std::string_view key, int64_t low, int64_t high) const {
  const Value* value = Find(key);
  if (!value) return std::nullopt;
  if (!IsInteger(value->type)) Refuse(key, "expected a whole number");
  const auto number = LoadInteger(value->bytes.data(), value->type);
  if (!number || *number < low || *number > high) {
    Refuse(key, (number ? std::to_string(*number) : "above 2^63") + Allowed(low, high));
  }
  return number;
}

std::optional<uint64_t> GgufValues::Count(std::string_view key) const {
  const Value* value = FindArray(key, "values");
  return value ? std::optional(value->count) : std::nullopt;
}

std::optional<std::vector<std::string_view>> GgufValues::Texts(std::string_view key) const {
  const Value* value = FindArray(key, "texts");
  if (!value) return std::nullopt;
  if (value->element != kText) Refuse(key, "expected an array of texts");
  std::vector<std::string_view> texts;
  texts.reserve(value->count);
  GgufCursor cursor(value->bytes, name_);
  for (uint64_t i = 0; i < value->count; ++i) texts.push_back(cursor.ReadText("a text"));
  return texts;
}

std::optional<std::vector<float>> GgufValues::Floats(std::string_view key) const {
  const Value* value = FindArray(key, "float32 numbers");
  if (!value) return std::nullopt;
  if (value->element != kF32) Refuse(key, "expected an array of float32 numbers");
  std::vector<float> numbers(value->count);
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = Load<float>(value->bytes.data() + 4 * i);
    if (!std::isfinite(numbers[i])) {
      Refuse(key, "element " + std::to_string(i) + " is not a number");
    }
  }
  return numbers;
}

std::optional<std::vector<int64_t>> GgufValues::Integers(std::string_view key, int64_t low,
                                                         int64_t high) const {
  const Value* value = FindArray(key, "whole numbers");
  if (!value) return std::nullopt;
  if (!IsInteger(value->element)) Refuse(key, "expected an array of whole numbers");
  std::vector<int64_t> numbers(value->count);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto number =
        LoadInteger(value->bytes.data() + SizeOfType(value->element) * i, value->element);
    if (!number || *number < low || *number > high) {
      Refuse(key, "element " + std::to_string(i) + " is " +
                      (number ? std::to_string(*number) : "above 2^63") + Allowed(low, high));
    }
    numbers[i] = *number;
  }
  return numbers;
}

}  // namespace longrope
