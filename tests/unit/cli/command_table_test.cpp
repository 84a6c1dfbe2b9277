// SPDX-License-Identifier: Apache-2.0
// What holds for every command, and the help texts made from the table.
#include <set>
#include <utility>

#include <gtest/gtest.h>

#include "cli/commands.h"
#include "cli/config/settings.h"
#include "cli/help.h"
#include "cli/parse/select.h"
#include "cli/vm/status_filter.h"
#include "cli/vm/vm_table.h"
#include "unit/golden.h"

namespace cocoon::cli {
namespace {

class EveryCommand : public testing::Test {
 protected:
  Program program_ = cocoon_program();
  GlobalFlags values_;
  std::vector<Flag> globals_ = global_flag_table(values_);
};

TEST_F(EveryCommand, HasAPathOfItsOwnAndASummary) {
  std::set<std::string> seen;
  for (const Command& command : program_.commands) {
    EXPECT_TRUE(seen.insert(command.path).second) << command.path;
    for (const std::string& alias : command.aliases) {
      std::string path = std::string(command.group()) + " " + alias;
      EXPECT_TRUE(seen.insert(path).second) << path;
    }
    EXPECT_FALSE(command.summary.empty()) << command.path;
    EXPECT_LE(command.min_names, command.max_names) << command.path;
    EXPECT_EQ(command.max_names > 0, !command.usage.empty()) << command.path;
    // Run here, or by the helper.
    EXPECT_NE(static_cast<bool>(command.run), command.in_helper) << command.path;
  }
}

TEST_F(EveryCommand, HasItsGroupInTheList) {
  std::set<std::string, std::less<>> groups{""};
  for (const Group& group : program_.groups) groups.insert(group.name);
  for (const Command& command : program_.commands) {
    EXPECT_TRUE(groups.contains(command.group())) << command.path;
  }
}

TEST_F(EveryCommand, HasFlagsThatCanBeToldApart) {
  for (const Command& command : program_.commands) {
    std::set<std::string> names;
    std::set<char> shorts;
    for (const std::vector<Flag>* table : {&std::as_const(globals_), &command.flags}) {
      for (const Flag& flag : *table) {
        if (!flag.name.empty()) {
          EXPECT_TRUE(names.insert(flag.name).second) << command.path << " --" << flag.name;
        }
        for (const std::string& alias : flag.aliases) {
          EXPECT_TRUE(names.insert(alias).second) << command.path << " --" << alias;
        }
        if (flag.short_name != 0) {
          EXPECT_TRUE(shorts.insert(flag.short_name).second) << command.path << flag.short_name;
        }
        EXPECT_FALSE(flag.help.empty()) << command.path << " " << flag.display();
        bool shows_value = std::holds_alternative<bool*>(flag.target) == flag.value_name.empty();
        EXPECT_TRUE(shows_value) << command.path << " " << flag.display();
        // `-f=false` has no other spelling that the parser below understands.
        EXPECT_TRUE(flag.needs_value() || !flag.name.empty()) << command.path;
      }
    }
  }
}

TEST_F(EveryCommand, OffersItsHelpInReadableLines) {
  for (const Command& command : program_.commands) {
    std::stringstream text(command_help(command, globals_));
    for (std::string line; std::getline(text, line);) {
      EXPECT_LE(line.size(), 110U) << command.path << ": " << line;
    }
  }
}

TEST_F(EveryCommand, HelpGolden) {
  cocoon::test::expect_golden("help_cocoon.txt", group_help(program_, "", globals_));
  cocoon::test::expect_golden("help_vm.txt", group_help(program_, "vm", globals_));
  cocoon::test::expect_golden("help_vm_disk.txt", group_help(program_, "vm disk", globals_));
  for (const char* verb : {"run", "clone", "restore", "stop", "list", "logs", "console"}) {
    const Command* command = find_command(program_, "vm", verb);
    ASSERT_NE(command, nullptr) << verb;
    cocoon::test::expect_golden(std::string("help_vm_") + verb + ".txt",
                                command_help(*command, globals_));
  }
}

model::Vm sample_vm(const std::string& id, const std::string& name) {
  model::Vm vm;
  vm.id = id;
  vm.state = model::VmState::kRunning;
  vm.config.name = name;
  vm.config.image = "alpine:3";
  vm.config.memory = std::int64_t{1536} << 20;
  vm.created_at = "not a time";
  return vm;
}

TEST(VmTable, HasTheHeadersOfTheSpec) {
  EXPECT_EQ(vm_table({}), "No VMs found.\n");
  EXPECT_EQ(
      vm_table({sample_vm("K3QZ7WJ5M2XA4TBN6RCVYDHEPL", "web")}),
      "ID                          NAME  STATE    CPU  MEMORY  STORAGE  IP  IMAGE     CREATED\n"
      "K3QZ7WJ5M2XA4TBN6RCVYDHEPL  web   running  2    1.5GiB  10GiB    -   alpine:3  not a "
      "time\n");
}

TEST(StatusFilter, MatchesIdNameAndPrefix) {
  model::Vm vm = sample_vm("K3QZ7WJ5M2XA4TBN6RCVYDHEPL", "web");
  EXPECT_TRUE(matches_filter(vm, {}));
  EXPECT_TRUE(matches_filter(vm, {"other", "web"}));
  EXPECT_TRUE(matches_filter(vm, {"K3Q"}));
  EXPECT_FALSE(matches_filter(vm, {"K3"}));
  EXPECT_FALSE(matches_filter(vm, {"we"}));
  EXPECT_FALSE(matches_filter(vm, {"k3q"}));
}

}  // namespace
}  // namespace cocoon::cli
