// What a refused input says.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "eval/errors.h"

namespace longrope::testing {

// The one line of the InputError that `call` throws; a failure and "" if it throws none.
template <class Call>
std::string RefusalOf(const Call& call) {
  try {
    call();
  } catch (const InputError& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find('\n'), std::string::npos) << "more than one line: " << text;
    EXPECT_FALSE(text.empty());
    return text;
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
