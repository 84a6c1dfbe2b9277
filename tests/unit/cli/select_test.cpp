// SPDX-License-Identifier: Apache-2.0
#include "cli/parse/select.h"

#include <gtest/gtest.h>

#include "cli/config/settings.h"
#include "cli/parse/suggest.h"

namespace cocoon::cli {
namespace {

using Words = std::vector<std::string>;

Program program() {
  Program out{
      .is_helper = false, .groups = {{"vm", ""}, {"vm disk", ""}, {"image", ""}}, .commands = {}};
  for (const char* path :
       {"vm start", "vm stop", "vm list", "vm disk list", "image list", "gc", "version"}) {
    Command command;
    command.path = path;
    if (command.verb() == "list") command.aliases = {"ls"};
    out.commands.push_back(command);
  }
  return out;
}

struct Fixture {
  Program known = program();
  GlobalFlags values;
  std::vector<Flag> table = global_flag_table(values);
  FlagSet globals;
  Fixture() { globals.add(table); }
  Result<Selection> select(const Words& words) { return select_command(known, globals, words); }
};

TEST(Select, FindsCommandsAndAliases) {
  Fixture f;
  EXPECT_EQ(f.select({"gc"})->command->path, "gc");
  EXPECT_EQ(f.select({"vm", "stop", "a"})->command->path, "vm stop");
  EXPECT_EQ(f.select({"vm", "stop", "a"})->rest, (Words{"a"}));
  EXPECT_EQ(f.select({"image", "ls"})->command->path, "image list");
}

TEST(Select, FindsGroupsInGroups) {
  Fixture f;
  EXPECT_EQ(f.select({"vm", "disk", "ls", "web"})->command->path, "vm disk list");
  EXPECT_EQ(f.select({"vm", "disk", "ls", "web"})->rest, Words{"web"});
  EXPECT_EQ(f.select({"vm", "disk"})->group, "vm disk");
  EXPECT_EQ(f.select({"vm", "disk", "stop"})->unknown, "stop");
  EXPECT_EQ(f.select({"disk", "list"})->unknown, "disk");
  EXPECT_EQ(near_commands(f.known, "vm", "dsik"), Words{"disk"});
  EXPECT_EQ(near_commands(f.known, "vm disk", "lsit"), Words{"list"});
}

TEST(Select, GlobalFlagsMayStandAnywhere) {
  Fixture f;
  auto selection =
      f.select({"--root-dir", "vm", "vm", "--dns=1.1.1.1", "list", "--log-level", "x"});
  ASSERT_TRUE(selection);
  EXPECT_EQ(selection->command->path, "vm list");
  EXPECT_EQ(selection->rest, (Words{"--root-dir", "vm", "--dns=1.1.1.1", "--log-level", "x"}));
}

TEST(Select, OtherFlagsBeforeTheCommandAreUnknown) {
  Fixture f;
  auto selection = f.select({"vm", "--force", "stop"});
  ASSERT_FALSE(selection);
  EXPECT_EQ(selection.error().kind, ErrorKind::kInvalid);
}

TEST(Select, GroupOrNothingAlone) {
  Fixture f;
  EXPECT_EQ(f.select({})->command, nullptr);
  EXPECT_EQ(f.select({"vm"})->group, "vm");
  EXPECT_EQ(f.select({"vm"})->command, nullptr);
  EXPECT_EQ(f.select({"vm", "--help"})->unknown, "");
}

TEST(Select, UnknownWordsAreNamedOnBothLevels) {
  Fixture f;
  EXPECT_EQ(f.select({"bogus"})->unknown, "bogus");
  EXPECT_EQ(f.select({"vm", "bogus"})->unknown, "bogus");
  EXPECT_EQ(f.select({"vm", "bogus"})->group, "vm");
  // A verb of another group is none of this one.
  EXPECT_EQ(f.select({"image", "stop"})->unknown, "stop");
  EXPECT_EQ(f.select({"stop"})->unknown, "stop");
}

TEST(Select, SuggestsNearWords) {
  Program known = program();
  EXPECT_EQ(near_commands(known, "vm", "strat"), (Words{"start"}));
  EXPECT_EQ(near_commands(known, "", "imge"), (Words{"image"}));
  EXPECT_EQ(near_commands(known, "", "ver"), (Words{"version"}));
  EXPECT_TRUE(near_commands(known, "vm", "completely").empty());
}

TEST(Suggest, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("abc", "abc"), 0U);
  EXPECT_EQ(edit_distance("strat", "start"), 1U);  // neighbours swapped
  EXPECT_EQ(edit_distance("stop", "start"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(Suggest, IgnoresLongTextAndNothing) {
  EXPECT_TRUE(near_words(std::string(100'000, 'a'), {"aaa"}).empty());
  EXPECT_TRUE(near_words("", {"vm"}).empty());
}

}  // namespace
}  // namespace cocoon::cli
