// SPDX-License-Identifier: Apache-2.0
#include "guest/environment.h"

#include <gtest/gtest.h>

namespace cocoon::guest {
namespace {

using Texts = std::vector<std::string>;

TEST(CompleteEnvironment, AddsWhatIsAbsent) {
  EXPECT_EQ(complete_environment({"A=b"}, "/root", "box"),
            (Texts{"A=b", "PATH=" + std::string(kDefaultPath), "HOME=/root", "TERM=xterm",
                   "HOSTNAME=box"}));
}

TEST(CompleteEnvironment, LeavesWhatIsGiven) {
  const Texts given{"PATH=/opt", "HOME=", "TERM=dumb", "HOSTNAME=x"};
  EXPECT_EQ(complete_environment(given, "/root", "box"), given);
}

TEST(CompleteEnvironment, TakesNoPrefixForTheName) {
  const Texts result = complete_environment({"PATHS=/opt", "HOMES=x"}, "/", "");
  EXPECT_EQ(find_variable(result, "PATH"), kDefaultPath);
  EXPECT_EQ(find_variable(result, "HOME"), "/");
  EXPECT_EQ(find_variable(result, "HOSTNAME"), "");
}

TEST(FindVariable, TakesTheFirst) {
  EXPECT_EQ(find_variable({"A=1", "A=2"}, "A"), "1");
  EXPECT_EQ(find_variable({"AB=1"}, "A"), "");
}

struct LookupCase {
  const char* name;
  const char* program;
  const char* path;
  Texts candidates;
};

class ProgramCandidates : public testing::TestWithParam<LookupCase> {};

TEST_P(ProgramCandidates, FollowExecvp) {
  EXPECT_EQ(program_candidates(GetParam().program, GetParam().path), GetParam().candidates);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ProgramCandidates,
    testing::Values(LookupCase{"ByPath", "sh", "/usr/bin:/bin", {"/usr/bin/sh", "/bin/sh"}},
                    LookupCase{"Absolute", "/bin/sh", "/usr/bin", {"/bin/sh"}},
                    LookupCase{"Relative", "./run", "/usr/bin", {"./run"}},
                    LookupCase{"EmptyElement", "sh", "/a::/b:", {"/a/sh", "sh", "/b/sh", "sh"}},
                    LookupCase{"EmptyPath", "sh", "", {"sh"}},
                    LookupCase{"EmptyProgram", "", "/bin", {""}}),
    [](const auto& p) { return std::string(p.param.name); });

}  // namespace
}  // namespace cocoon::guest
