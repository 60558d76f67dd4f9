#include "search/study/study_file.h"

#include <gtest/gtest.h>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

using testing::TempFolder;

const std::string kHead =
    "seeds: [3, 1]\nlengths: [2048, 1024]\nmodel: {path: /m}\ndata: {path: /d}\n";
const std::string kMethods =
    "methods:\n  - {name: paper}\n  - {name: frugal, preset: frugal, documents: 4}\n";

Study Read(const std::string& text, const std::vector<std::string>& settings = {}) {
  const TempFolder folder;
  testing::WriteFile(folder / "my study.yaml", text);
  return ReadStudy(folder / "my study.yaml", settings);
}

std::vector<std::string> Names(const Study& study) {
  std::vector<std::string> names;
  for (const StudyCell& cell : study.cells) names.push_back(cell.Name());
  return names;
}

TEST(StudyFile, CellsAreLengthsThenSeedsThenMethods) {
  const Study study = Read(kHead + kMethods);
  EXPECT_EQ(Names(study), (std::vector<std::string>{
                              "paper-1024-1", "frugal-1024-1", "paper-1024-3", "frugal-1024-3",
                              "paper-2048-1", "frugal-2048-1", "paper-2048-3", "frugal-2048-3"}));
  EXPECT_EQ(study.name, "my-study");
  EXPECT_EQ(study.reference, "paper");
  EXPECT_EQ(study.methods, (std::vector<std::string>{"paper", "frugal"}));
  EXPECT_TRUE(study.marks.empty());
}

TEST(StudyFile, ACellIsAJobOfOneSearchStage) {
  const Study study = Read(kHead + "stage: {documents: 2, held_out: 7, parents: 9}\n" + kMethods);
  const Job& frugal = study.cells[3].job;
  EXPECT_EQ(frugal.seed, 3);
  EXPECT_EQ(frugal.model.path, "/m");
  EXPECT_EQ(frugal.output.folder, study.folder + "/cells/frugal-1024-3");
  ASSERT_EQ(frugal.stages.size(), 1u);
  const StageOptions& stage = frugal.stages[0];
  EXPECT_EQ(stage.length, 1024);
  EXPECT_EQ(stage.documents, 4) << "a method's key is over the common one";
  EXPECT_EQ(stage.held_out, 7);
  EXPECT_EQ(stage.evolution.parents, 9);
  EXPECT_EQ(stage.evolution.warm_start.evaluations,
            DefaultStage(1024, "frugal").evolution.warm_start.evaluations);
  EXPECT_EQ(study.cells[2].job.stages[0].documents, 2);
  EXPECT_EQ(study.cells[2].job.stages[0].name, stage.name) << "equal seeds, equal documents";
}

TEST(StudyFile, AMethodMayRunAtSomeLengthsAndSeedsOnly) {
  const Study study =
      Read(kHead + "methods:\n  - {name: a}\n  - {name: b, lengths: [1024, 512], seeds: [3]}\n");
  EXPECT_EQ(Names(study), (std::vector<std::string>{"b-512-3", "a-1024-1", "a-1024-3", "b-1024-3",
                                                    "a-2048-1", "a-2048-3"}));
}

TEST(StudyFile, MarksAreSortedAndSettingsReachMethods) {
  const Study study = Read(kHead + "marks: [50, 10, 50]\nreference: frugal\n" + kMethods,
                           {"methods.frugal.documents=3", "output.folder=/out", "seeds=[8]"});
  EXPECT_EQ(study.marks, (std::vector<int64_t>{10, 50})) << "each once";
  EXPECT_EQ(study.reference, "frugal");
  EXPECT_EQ(study.folder, "/out");
  EXPECT_EQ(study.cells[1].Name(), "frugal-1024-8");
  EXPECT_EQ(study.cells[1].job.stages[0].documents, 3);
}

TEST(StudyFile, WhatIsWrongIsNamedWithItsPlace) {
  EXPECT_REFUSED(Read(kHead), "methods: expected a list");
  EXPECT_REFUSED(Read(kHead + "stages:\n  - {name: a}\n"), "this is a job file");
  EXPECT_REFUSED(Read("lengths: [1024]\n" + kMethods), "seeds");
  EXPECT_REFUSED(Read(kHead + "marke: [1]\n" + kMethods), "marks");
  EXPECT_REFUSED(Read(kHead + "reference: best\n" + kMethods),
                 "yaml:5: reference: 'best'; allowed: paper, frugal");
  EXPECT_REFUSED(Read(kHead + "methods:\n  - {name: a}\n  - {name: a}\n"), "two are named a");
  EXPECT_REFUSED(Read(kHead + "methods:\n  - {preset: paper}\n"), "name");
  EXPECT_REFUSED(Read(kHead + "methods:\n  - paper\n"), "expected keys of a stage");
  EXPECT_REFUSED(Read(kHead + "methods:\n  - {name: a, parent: 3}\n"), "yaml:6: ");
  EXPECT_REFUSED(Read(kHead + "methods:\n  - {name: a, parent: 3}\n"), "parents");
  EXPECT_REFUSED(Read(kHead + "methods:\n  - {name: a, length: 3}\n"),
                 "methods.a.length: is for the study to say");
  EXPECT_REFUSED(Read(kHead + "stage: {kind: search}\n" + kMethods), "yaml:5: ");
  EXPECT_REFUSED(Read(kHead + "stage: 3\n" + kMethods), "stage: expected keys of a stage");
  EXPECT_REFUSED(Read(kHead + "stage: {held_out: 0}\n" + kMethods), "held_out: 0");
  EXPECT_REFUSED(Read(kHead + kMethods, {"methods.best.documents=3"}), "best");
  EXPECT_REFUSED(Read(kHead + kMethods, {"confidence=1"}), "confidence");
  EXPECT_REFUSED(Read(kHead + kMethods, {"confidence=0.999", "resamples=1000"}), "resamples: 1000");
}

TEST(StudyFile, TheShippedOnesAreRead) {
  const Study tiny = ReadStudy(testing::SourcePath("configs/study-tiny.yaml"), {});
  EXPECT_EQ(tiny.cells.size(), 36u);
  EXPECT_EQ(ReadStudy(testing::SourcePath("configs/study-parts.yaml"), {}).cells.size(), 40u);
  EXPECT_EQ(ReadStudy(testing::SourcePath("configs/study-racing.yaml"), {}).cells.size(), 12u);
}

}  // namespace
}  // namespace longrope
