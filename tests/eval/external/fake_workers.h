// tests/support/fake_worker.py as a team's command, and what its scores must be.
#pragma once

#include <string>
#include <vector>

#include "eval/external/worker_team.h"
#include "tests/support/temp_folder.h"

namespace longrope::testing {

inline std::vector<std::string> FakeWorker(std::vector<std::string> arguments = {}) {
  std::vector<std::string> command = {"python3", SourcePath("tests/support/fake_worker.py")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

// Two documents, the second with three tokens of eight that count.
inline std::vector<Document> FakeDocuments() {
  Document all{.title = "all", .digest = "d0", .tokens = {1, 5, 4000, 7, 9, 11, 13, 2}};
  Document some = all;
  some.title = "some";
  some.digest = "d1";
  some.scored = {1, 0, 0, 1, 0, 1, 1, 0};
  return {all, some};
}

// Every pair of `candidates` factors and the two documents.
inline std::vector<Task> FakeTasks(int candidates) {
  std::vector<Task> tasks;
  for (int i = 0; i < candidates; ++i) {
    Task task;
    task.candidate = i;
    for (int pair = 0; pair < 16; ++pair) {
      task.factors.lambda.push_back(1 + 0.1f * static_cast<float>(i * pair));
    }
    task.factors.start_tokens = 4 * i;
    task.factors.attention_factor = 1 + 0.01 * i;
    for (task.document = 0; task.document < 2; ++task.document) tasks.push_back(task);
  }
  return tasks;
}

}  // namespace longrope::testing
