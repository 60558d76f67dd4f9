// The keys of a job that say what its books are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "search/job/job_file.h"
#include "tests/support/refusal.h"

namespace longrope {
namespace {

using ::testing::ElementsAre;

// A job whose data has these keys too.
Job WithData(const std::string& keys, const std::string& stage = "") {
  return ResolveJob(
      ParseYaml("model: {path: /m}\ndata: {path: /d" + keys +
                    "}\nstages:\n  - {name: s, kind: search, length: 2048" + stage + "}\n",
                "job.yaml"),
      "name");
}

TEST(DataKeys, SayWhichBooksAndWhereIdsAreKept) {
  const DataOptions texts =
      WithData(
          ", filter: [meta.pile_set_name=Gutenberg (PG-19), lang=en], cache: /c/../k, "
          "cache_gb: 0.5")
          .data;
  EXPECT_THAT(texts.filter, ElementsAre("meta.pile_set_name=Gutenberg (PG-19)", "lang=en"));
  EXPECT_EQ(texts.cache, "/k");
  EXPECT_EQ(texts.cache_gb, 0.5);
  EXPECT_EQ(texts.tokens, std::nullopt);
  const DataOptions ids = WithData(", tokens: uint32, separator: 2, cache: none").data;
  EXPECT_EQ(ids.tokens, "uint32");
  EXPECT_EQ(ids.separator, 2);
  EXPECT_EQ(ids.cache, kNoCache);
}

TEST(DataKeys, ThatChangeResultsAreOfTheJobsIdentity) {
  const std::string before = JobIdentity(WithData(""));
  const auto differing = [&](const std::string& keys) {
    return DifferingKeys(before, JobIdentity(WithData(keys)));
  };
  EXPECT_THAT(differing(", cache: /k, cache_gb: 2"), ElementsAre());
  EXPECT_THAT(differing(", filter: [a=b]"), ElementsAre("data.filter"));
  EXPECT_THAT(differing(", tokens: uint16, separator: 0"),
              ElementsAre("data.separator", "data.tokens"));
  // Runs that began before there were these keys go on.
  EXPECT_EQ(before.find("filter"), std::string::npos);
  EXPECT_EQ(before.find(" tokens:"), std::string::npos);
}

TEST(DataKeys, RefusesWhatDoesNotGoTogether) {
  for (const char* filter : {"a", "a=", "=b", ".a=b", "a.=b", "a..b=c"}) {
    EXPECT_REFUSED(WithData(std::string(", filter: [\"") + filter + "\"]"), "allowed: FIELD=VALUE");
  }
  EXPECT_REFUSED(WithData(", separator: 0"), "data.separator: is of files of ids");
  EXPECT_REFUSED(WithData(", tokens: int32"), "allowed: uint16, uint32");
  EXPECT_REFUSED(WithData(", tokens: uint16, filter: [a=b]"), "data.filter: is of texts");
  EXPECT_REFUSED(WithData(", tokens: uint16", ", objective: key"),
                 "data.tokens: stage s tells key tokens");
  EXPECT_REFUSED(WithData(", cache_gb: 0"), "data.cache_gb");
}

}  // namespace
}  // namespace longrope
