// A fixture: the small model as a GGUF file, with something changed in it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "eval/model/gguf_model.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope::testing {

class SpoiltGguf : public ::testing::Test {
 protected:
  using Spoil = std::function<void(GgufToWrite*)>;

  std::filesystem::path Write(const GgufToWrite& file) {
    WriteFile(folder_ / "m.gguf", GgufBytes(file));
    return folder_ / "m.gguf";
  }
  // Of the small model after `spoil`.
  GgufModel Open(const Spoil& spoil, const ConfigOverrides& overrides = {}) {
    GgufToWrite file = SmallGguf();
    spoil(&file);
    return GgufModel(Write(file), overrides);
  }
  std::string Refusal(const Spoil& spoil) {
    const std::string refusal = RefusalOf([&] { Open(spoil); });
    EXPECT_THAT(refusal, ::testing::HasSubstr("m.gguf: "));
    return refusal;
  }

  TempFolder folder_;
};

}  // namespace longrope::testing
