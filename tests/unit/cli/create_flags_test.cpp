// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/create_flags.h"

#include <gtest/gtest.h>

#include "cli/parse/arguments.h"

namespace cocoon::cli {
namespace {

using Words = std::vector<std::string>;

Result<engine::CreateRequest> request_of(Words words) {
  CreateFlags flags;
  Command command;
  command.path = "vm create";
  command.flags = create_flag_table(flags);
  command.takes_command = true;
  FlagSet known;
  known.add(command.flags);
  words.insert(words.begin(), "image");
  Arguments arguments = COCOON_TRY(parse_arguments(command, known, words));
  return make_request(flags, arguments);
}

TEST(CreateFlags, DefaultsAreThoseOfTheSpec) {
  auto request = request_of({});
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->image, "image");
  EXPECT_EQ(request->cpu, 2);
  EXPECT_EQ(request->memory, std::int64_t{1} << 30);
  EXPECT_FALSE(request->storage);
  EXPECT_EQ(request->guest_user, "root");
  EXPECT_EQ(request->guest_password, "cocoon");
  EXPECT_FALSE(request->nics);  // the engine looks for a network
  EXPECT_EQ(request->backend, "");
  EXPECT_FALSE(request->entrypoint);
}

TEST(CreateFlags, TakesWhatTheProviderPasses) {
  // The Kubernetes provider passes plain bytes, and "10G" of it is 10^10.
  auto request = request_of({"--name", "vk-ns-set-0", "--cpu", "4", "--memory", "4294967296",
                             "--storage", "10000000000", "--no-direct-io"});
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->memory, 4294967296);
  EXPECT_EQ(request->storage, 10000000000);
  EXPECT_TRUE(request->no_direct_io);
}

TEST(CreateFlags, GuestsCommand) {
  auto request = request_of({"-e", "A=1", "-eB", "-w", "/srv", "-u", "1000:1000", "--entrypoint",
                             "", "--init", "--", "sh", "-c", "echo --cpu"});
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->env, (Words{"A=1", "B"}));
  EXPECT_EQ(request->workdir, "/srv");
  EXPECT_EQ(request->user, "1000:1000");
  EXPECT_EQ(request->entrypoint, "");
  EXPECT_TRUE(request->init);
  EXPECT_EQ(request->command, (Words{"sh", "-c", "echo --cpu"}));
}

TEST(CreateFlags, ShortFormsOfTheBackend) {
  EXPECT_EQ(request_of({"--fc"})->backend, "firecracker");
  EXPECT_EQ(request_of({"--qemu"})->backend, "qemu");
  EXPECT_EQ(request_of({"--backend", "auto"})->backend, "auto");
  EXPECT_EQ(request_of({"--qemu", "--backend=qemu"})->backend, "qemu");
  EXPECT_EQ(request_of({"--fc=false"})->backend, "");
}

struct Refusal {
  const char* label;
  Words words;
  ErrorKind kind;
  const char* text;
};
class Refusals : public testing::TestWithParam<Refusal> {};
TEST_P(Refusals, NameTheFlag) {
  auto request = request_of(GetParam().words);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().kind, GetParam().kind) << request.error().to_string();
  EXPECT_NE(request.error().to_string().find(GetParam().text), std::string::npos)
      << request.error().to_string();
}
INSTANTIATE_TEST_SUITE_P(
    Cases, Refusals,
    testing::Values(
        Refusal{"MemorySyntax", {"--memory", "1GG"}, ErrorKind::kInvalid, "--memory"},
        Refusal{"StorageSyntax", {"--storage", "-1G"}, ErrorKind::kInvalid, "--storage"},
        // Syntax of both sizes comes before every other rule.
        Refusal{"SyntaxFirst",
                {"--storage", "x", "--cpu", "0", "--name", "!"},
                ErrorKind::kInvalid,
                "--storage"},
        Refusal{"NameBeforeCpu", {"--name", "!", "--cpu", "0"}, ErrorKind::kInvalid, "--name"},
        Refusal{"CpuBeforeMemory", {"--cpu", "0", "--memory", "1M"}, ErrorKind::kInvalid, "--cpu"},
        Refusal{"MemoryMinimum", {"--memory", "511M"}, ErrorKind::kInvalid, "\"511M\""},
        Refusal{"StorageMinimum", {"--storage", "9G"}, ErrorKind::kInvalid, "\"9G\""},
        Refusal{"QueueSize", {"--queue-size", "-1"}, ErrorKind::kInvalid, "--queue-size"},
        Refusal{"DiskQueueSize", {"--disk-queue-size=-2"}, ErrorKind::kInvalid, "\"-2\""},
        Refusal{"NegativeNics", {"--nics", "-1"}, ErrorKind::kInvalid, "--nics"},
        Refusal{"UserName", {"--user", "Root"}, ErrorKind::kInvalid, "--user"},
        Refusal{"Password", {"--password", "a;b"}, ErrorKind::kInvalid, "--password"},
        Refusal{"PasswordControl", {"--password", "a\nb"}, ErrorKind::kInvalid, "--password"},
        Refusal{"Backends", {"--fc", "--qemu"}, ErrorKind::kInvalid, "exclude each other"},
        Refusal{"UnknownBackend", {"--backend", "xen"}, ErrorKind::kInvalid, "\"xen\""},
        Refusal{"FcWindows", {"--fc", "--windows"}, ErrorKind::kInvalid, "--windows"},
        Refusal{"BridgeNetwork",
                {"--bridge", "br0", "--network", "n"},
                ErrorKind::kInvalid,
                "--bridge"},
        Refusal{"MemoryBacking", {"--memory-backing", "disk"}, ErrorKind::kInvalid, "\"disk\""},
        Refusal{"Publish", {"-p", "80"}, ErrorKind::kInvalid, "--publish"},
        Refusal{"PublishPort", {"--publish", "80:0"}, ErrorKind::kInvalid, "--publish"},
        Refusal{"DataDisk",
                {"--data-disk", "size=1"},
                ErrorKind::kInvalid,
                "--data-disk size=1: size=1: below the minimum of 16MiB"},
        Refusal{"DataDisks",
                {"--data-disk", "size=1G,name=a", "--data-disk", "size=1G,name=a"},
                ErrorKind::kInvalid,
                "--data-disk: name=a: two data disks have this name"},
        // Data disks come before the name.
        Refusal{"DataDiskFirst",
                {"--name", "!", "--data-disk", "size=1G,x=y"},
                ErrorKind::kInvalid,
                "--data-disk"},
        Refusal{"SshKey", {"--ssh-key", "/nonexistent"}, ErrorKind::kSystem, "--ssh-key"}),
    [](const auto& one) { return std::string(one.param.label); });

TEST(CreateFlags, PasswordIsNeverInAMessage) {
  auto request = request_of({"--password", "se;cret"});
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().to_string().find("cret"), std::string::npos);
}

TEST(CreateFlags, Networks) {
  auto request =
      request_of({"--nics", "2", "--network", "lan", "-p", "8080:80", "-p", "53:53/udp"});
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->nics, 2);
  EXPECT_EQ(request->network, "lan");
  ASSERT_EQ(request->ports.size(), 2U);
  EXPECT_EQ(request->ports[1].protocol, "udp");
  EXPECT_EQ(request_of({"--bridge", "br0"})->bridge, "br0");
}

TEST(CreateFlags, EmptyValuesAreNotRefused) {
  EXPECT_TRUE(request_of({"--nics", "0", "--user", "root", "--password", "cocoon",
                          "--windows=false", "--network", "", "--bridge="}));
}

}  // namespace
}  // namespace cocoon::cli
