#include <iterator>

#include "tests/cuda/device_data.h"
#include "tests/cuda/stand_in/stand_in.h"

namespace longrope::testing {

void NextThreadOrder() {
  static size_t next = 0;
  const size_t turn = next++;
  stand_in::Reorder(stand_in::kThreadOrders[turn % std::size(stand_in::kThreadOrders)],
                    stand_in::StreamOrder::kLate, static_cast<uint32_t>(turn + 1));
}

}  // namespace longrope::testing
