// How stages name factors: "STAGE", "METHOD", "METHOD@LENGTH", with "MODEL:" before it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "eval/rope_methods.h"

namespace longrope {

struct FactorsName {
  std::string model;                 // before the colon; "" if there is none
  std::string stage;                 // a stage's factors; "" if they are a method's
  std::optional<RopeMethod> method;  // a closed form
  int64_t target = 0;                // tokens that the method reaches; 0: the length at hand
};

// `text` is a method's name only where it is not that of a stage. Throws InputError, starting with
// `where`, for a length that is none.
FactorsName ParseFactorsName(const std::string& text, const std::string& where);

}  // namespace longrope
