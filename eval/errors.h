// Errors a user can mend, told apart from faults of the program.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace longrope {

// Names from hostile files may hold line feeds and a terminal's escapes.
inline std::string OneLine(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  }
  return text;
}

// Bad input or usage. what() is one line: where, what is wrong, what is allowed. Exit code 2.
class InputError : public std::runtime_error {
 public:
  explicit InputError(std::string what) : std::runtime_error(OneLine(std::move(what))) {}
};

// Thrown by long work that was asked to stop. Nothing is wrong: what was done is kept.
class Stopped : public std::runtime_error {
 public:
  Stopped() : std::runtime_error("stopped") {}
};

}  // namespace longrope
