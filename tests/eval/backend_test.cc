#include "eval/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cuda/cuda_engine.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

using ::testing::HasSubstr;
using testing::RefusalOf;
using ::testing::StartsWith;

// Refusals for want of a device are those of integration/Backend.
TEST(Backend, MakesAnEngineOfEveryNameThatCanBeHad) {
  ASSERT_FALSE(BackendNames().empty());
  EXPECT_EQ(BackendNames().front(), "auto");
  for (const std::string& name : BackendNames()) {
    if (name == "cuda" && FindCudaDevices().usable.empty()) continue;
    const auto engine = MakeEngine({.name = name, .threads = 3});
    ASSERT_NE(engine, nullptr) << name;
    EXPECT_EQ(engine->Threads(), 3) << name;
    EXPECT_GT(engine->Grain(), 0) << name;
    if (name == "auto") continue;
    EXPECT_THAT(std::string(engine->name()), StartsWith(name));
  }
  EXPECT_GE(MakeEngine({})->Threads(), 1);
}

TEST(Backend, RefusesAnUnknownNameAndListsTheKnown) {
  std::string list;
  for (const std::string& name : BackendNames()) list += (list.empty() ? "" : ", ") + name;
  for (const char* name : {"", "Auto", "cuda9000", "reference "}) {
    EXPECT_THAT(RefusalOf([&] { MakeEngine({.name = name}); }),
                HasSubstr("unknown backend '" + std::string(name) + "'; allowed: " + list));
  }
}

TEST(Backend, DefaultMemoryIsSomethingThatAMachineMayHave) {
  const int64_t bytes = DefaultMemoryBytes();
  EXPECT_GT(bytes, 16 << 20);
  EXPECT_LT(bytes, int64_t{1} << 50);
}

}  // namespace
}  // namespace longrope
