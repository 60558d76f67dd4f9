// Attention where positions and elements of the arrays are many.
#pragma once

namespace longrope::gpu_day {

// Compares the two kernels, which share no addresses, on rows after 2097152 others, whose last keys
// weigh most: elements beyond 2^31. Says how they agree as a section of Markdown; how many were
// wrong. `small`: on rows after 3000.
int CompareFarOut(bool small);

}  // namespace longrope::gpu_day
