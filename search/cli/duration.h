// Durations as people read them.
#pragma once

#include <string>

namespace longrope {

// "0.32 s", "45 s", "2 min 24 s", "75 min", "5.2 h", "3.1 days"; "-" if not finite.
std::string DurationText(double seconds);

}  // namespace longrope
