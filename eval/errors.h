// Errors a user can mend, told apart from faults of the program.
#pragma once

#include <stdexcept>
#include <string>

namespace longrope {

// Bad input or usage. what() is one line: where, what is wrong, what is allowed. Exit code 2.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace longrope
