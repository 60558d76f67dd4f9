// A job of all kinds of stages on data/tiny that takes seconds: search, fine-tune by a command that
// copies, search on what came back, readjustment, evaluation.
#pragma once

#include <filesystem>
#include <string>

namespace longrope::testing {

// Stands for a training: a copy with another weight.
inline constexpr const char* kCopy =
    "cp -r {model} {output} && printf 77 | dd of={output}/model.safetensors bs=1 seek=4000000 "
    "conv=notrunc 2> /dev/null";

// Writes texts and the job file, folder/schedule.yaml, whose path it returns; the run goes to
// folder/run. Without a command ("") the fine-tune waits for its checkpoint.
std::string ScheduleYaml(const std::filesystem::path& folder, const std::string& command = kCopy);

}  // namespace longrope::testing
