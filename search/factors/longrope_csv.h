// The CSV of the paper's released code (microsoft/LongRoPE): one factor a line, pair 0 first. A
// file with the same factors for every layer ([layers, d / 2], comma-separated rows) is read too.
#pragma once

#include <string>
#include <string_view>

#include "search/factors/factor_file.h"

namespace longrope {

// Lambda alone: the format has no place for n-hat or m.
std::string WriteLongropeCsv(const RopeFactors& factors);

// Throws InputError "name:line: ..." for what is not a number above 0, and for rows that differ.
FactorFile ParseLongropeCsv(std::string_view text, const std::string& name);

}  // namespace longrope
