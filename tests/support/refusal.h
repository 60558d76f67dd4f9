// What an input is refused with.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "eval/errors.h"

namespace longrope::testing {

// what() of the InputError that call() throws: one line, as a user is shown it. Fails the test and
// returns "" if nothing is thrown; any other exception passes through and fails it too.
template <class Call>
std::string RefusalOf(const Call& call) {
  try {
    call();
  } catch (const InputError& error) {
    const std::string what = error.what();
    EXPECT_FALSE(what.empty());
    for (char c : what) {
      if (static_cast<unsigned char>(c) < ' ') ADD_FAILURE() << "not one clean line: " << what;
    }
    return what;
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

}  // namespace longrope::testing

// `call` is refused and the message holds `part`.
#define EXPECT_REFUSED(call, part)                                                     \
  do {                                                                                 \
    const std::string refusal = ::longrope::testing::RefusalOf([&] { (void)(call); }); \
    EXPECT_NE(refusal.find(part), std::string::npos) << refusal;                       \
  } while (false)
