// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <gtest/gtest.h>

#include "cli/commands.h"
#include "cli/completion/complete.h"
#include "cli/completion/scripts.h"

namespace cocoon::cli {
namespace {

using Words = std::vector<std::string>;

// Answers "web" and "db" for every kind, and remembers the question.
struct FixedNames {
  std::vector<Names> asked;
  std::optional<std::string> root_dir;
  NameSource source() {
    return [this](Names kind, const GlobalFlags& flags) {
      asked.push_back(kind);
      root_dir = flags.root_dir;
      return std::vector<Candidate>{{"web", "running"}, {"db", "stopped"}};
    };
  }
};

Words values(const Words& words) {
  FixedNames names;
  Words out;
  for (const Candidate& one : complete(cocoon_program(), words, names.source()).candidates) {
    out.push_back(one.value);
  }
  return out;
}

bool has(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

TEST(Complete, CommandsAndGroups) {
  Words all = values({""});
  EXPECT_TRUE(has(all, "vm"));
  EXPECT_TRUE(has(all, "version"));
  EXPECT_FALSE(has(all, "start"));
  EXPECT_EQ(values({"vm", "sta"}), (Words{"start", "status"}));
  EXPECT_TRUE(values({"vm", "bogus", ""}).empty());
}

TEST(Complete, FlagsOfTheCommandAndGlobalOnes) {
  Words flags = values({"vm", "stop", "--"});
  EXPECT_TRUE(has(flags, "--force"));
  EXPECT_TRUE(has(flags, "--root-dir"));
  EXPECT_FALSE(has(flags, "--follow"));
  EXPECT_FALSE(has(values({"vm", "--"}), "--force"));
}

TEST(Complete, NamesWhereTheCommandTakesThem) {
  EXPECT_EQ(values({"vm", "stop", ""}), (Words{"db", "web"}));
  EXPECT_EQ(values({"vm", "stop", "--force", "web", "d"}), (Words{"db"}));
  // inspect takes one.
  EXPECT_TRUE(values({"vm", "inspect", "web", ""}).empty());
  EXPECT_TRUE(values({"vm", "list", ""}).empty());
}

TEST(Complete, ValuesOfFlags) {
  EXPECT_EQ(values({"vm", "list", "-o", ""}), (Words{"json", "table"}));
  EXPECT_EQ(values({"vm", "list", "--format=j"}), (Words{"--format=json"}));
  EXPECT_EQ(values({"vm", "run", "--kernel", "w"}), (Words{"web"}));
  EXPECT_TRUE(values({"vm", "run", "--name", ""}).empty());
}

TEST(Complete, FilesAndDirectoriesAreLeftToTheShell) {
  FixedNames names;
  EXPECT_TRUE(complete(cocoon_program(), {"--config", ""}, names.source()).files);
  EXPECT_TRUE(complete(cocoon_program(), {"--root-dir", ""}, names.source()).dirs);
  EXPECT_FALSE(complete(cocoon_program(), {"vm", ""}, names.source()).files);
}

TEST(Complete, NothingForTheGuestsCommand) {
  EXPECT_TRUE(values({"vm", "run", "img", "--", ""}).empty());
}

TEST(Complete, AsksTheStoreOfTheLine) {
  FixedNames names;
  complete(cocoon_program(), {"--root-dir", "/elsewhere", "vm", "stop", ""}, names.source());
  EXPECT_EQ(names.asked, (std::vector<Names>{Names::kVm}));
  EXPECT_EQ(names.root_dir, "/elsewhere");
}

TEST(Scripts, AreThereForThreeShells) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    auto script = completion_script(shell);
    ASSERT_TRUE(script) << shell;
    EXPECT_NE(script->find("__complete"), std::string_view::npos) << shell;
  }
  EXPECT_FALSE(completion_script("powershell"));
}

}  // namespace
}  // namespace cocoon::cli
