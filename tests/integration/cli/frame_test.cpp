// SPDX-License-Identifier: Apache-2.0
// Exit codes, streams, settings and the helper, through the built program.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "integration/cli/cli_fixture.h"
#include "unit/golden.h"

namespace cocoon::cli::test {
namespace {

constexpr const char* kId = "K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
constexpr const char* kOther = "T5XQ2MZK7RWN4YBD6VHA3CJLEP";

int error_lines(const RunResult& result) {
  int count = 0;
  std::stringstream text(result.err);
  for (std::string line; std::getline(text, line);) count += line.rfind("Error: ", 0) == 0 ? 1 : 0;
  return count;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    text.replace(at, from.size(), to);
    at += to.size();
  }
  return text;
}

struct Refusal {
  const char* label;
  Words words;
  int code;
  const char* says;
};
class Refusals : public CliTest, public testing::WithParamInterface<Refusal> {};
TEST_P(Refusals, OneErrorLineNothingOnStdoutNothingMade) {
  RunResult result = cocoon(GetParam().words);
  EXPECT_EQ(result.code, GetParam().code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(error_lines(result), 1) << result.err;
  EXPECT_NE(result.err.find(GetParam().says), std::string::npos) << result.err;
  EXPECT_FALSE(fs::exists(root()));
  EXPECT_FALSE(fs::exists(log_dir()));
}
INSTANTIATE_TEST_SUITE_P(
    Cases, Refusals,
    testing::Values(
        Refusal{"UnknownCommand", {"bogus"}, 2, "Run 'cocoon --help' for usage."},
        Refusal{"UnknownNested", {"vm", "strat"}, 2, "Did you mean this?"},
        Refusal{"UnknownFlag", {"vm", "list", "--bogus"}, 2, "unknown flag: --bogus"},
        Refusal{"MissingArgument", {"vm", "start"}, 2, "needs VM"},
        Refusal{"StrayArgument", {"vm", "list", "x"}, 2, "unexpected argument \"x\""},
        Refusal{"StrayVersionArgument", {"version", "x"}, 2, "unexpected argument \"x\""},
        Refusal{"Format", {"vm", "list", "-o", "xml"}, 2, "invalid value \"xml\" for --format"},
        Refusal{"NegativeTimeout", {"vm", "stop", "--timeout=-1", "x"}, 2, "--timeout"},
        Refusal{"NegativeTail", {"vm", "logs", "--tail", "-1", "x"}, 2, "--tail"},
        Refusal{"Shell", {"completion", "tcsh"}, 2, "tcsh"},
        Refusal{"BadConfig", {"--dns", "x", "version"}, 2, "config: --dns: \"x\""},
        Refusal{"NoKernelFile", {"kernel", "import", "k"}, 2, "--kernel"},
        Refusal{"NoImageName", {"image", "import"}, 2, "NAME"},
        Refusal{"ArityBeforeConfig", {"--dns", "x", "version", "y"}, 2, "unexpected argument"},
        Refusal{"InspectVm", {"vm", "inspect", "x"}, 3, "vm not found: x"},
        Refusal{"StartVm", {"vm", "start", "x"}, 3, "vm not found: x"},
        Refusal{"RemoveVm", {"vm", "rm", "--force", "x"}, 3, "vm not found: x"},
        Refusal{"LogsOfVm", {"vm", "logs", "x"}, 3, "vm not found: x"},
        Refusal{"InspectImage", {"image", "inspect", "x"}, 3, "image not found: x"},
        Refusal{"RemoveImage", {"image", "rm", "x"}, 3, "image not found: x"},
        Refusal{"InspectKernel", {"kernel", "inspect", "x"}, 3, "kernel not found: x"},
        Refusal{"DefaultKernel", {"kernel", "default", "x"}, 3, "kernel not found: x"},
        Refusal{"RemoveKernel", {"kernel", "rm", "x"}, 3, "kernel not found: x"},
        Refusal{"NoTerminal", {"vm", "console", "x"}, 2, "not a terminal"},
        Refusal{"EscapeChar", {"vm", "console", "--escape-char", "", "x"}, 2, "--escape-char"},
        Refusal{"Publish", {"vm", "create", "-p", "80", "x"}, 2, "--publish"}),
    [](const auto& one) { return std::string(one.param.label); });

class Frame : public CliTest {};

TEST_F(Frame, ReadersOfAnEmptyStoreCreateNothing) {
  for (const Words& words : {Words{"vm", "list"}, Words{"image", "list"}, Words{"kernel", "list"},
                             Words{"vm", "status"}, Words{"gc"}, Words{"version"}}) {
    EXPECT_EQ(cocoon(words).code, 0);
  }
  for (const char* group : {"vm", "image", "kernel"}) {
    EXPECT_EQ(cocoon({group, "list", "-o", "json"}).out, "[]\n");
  }
  EXPECT_EQ(cocoon({"vm", "status", "--format", "json"}).out, "[]\n");
  EXPECT_FALSE(fs::exists(root()));
}

TEST_F(Frame, HelpIsNoError) {
  for (const Words& words :
       {Words{}, Words{"vm"}, Words{"--help"}, Words{"vm", "stop", "-h"},
        Words{"help", "vm", "stop"}, Words{"vm", "stop", "--bogus", "--help"}}) {
    RunResult result = cocoon(words);
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.err, "");
    EXPECT_NE(result.out.find("Usage:"), std::string::npos);
  }
  EXPECT_EQ(cocoon({"help", "vm", "stop"}).out, cocoon({"vm", "stop", "--help"}).out);
  EXPECT_EQ(cocoon({"help", "vm", "bogus"}).code, 2);
}

TEST_F(Frame, FailedReferencesOfABatchAreJsonToo) {
  RunResult result = cocoon({"vm", "rm", "-o", "json", "a", "b"});
  EXPECT_EQ(result.code, 3);
  auto json = result.json();
  EXPECT_EQ(json["succeeded"], nlohmann::json::array());
  ASSERT_EQ(json["failed"].size(), 2U);
  EXPECT_EQ(json["failed"][0]["id"], "a");
  EXPECT_EQ(json["failed"][0]["kind"], "not_found");
  EXPECT_EQ(error_lines(result), 2);
}

TEST_F(Frame, EnvironmentFileAndFlagInTheirOrder) {
  add_vm(kId, "web");
  std::ofstream(base() / "c.yaml") << "root_dir: " << root().native() << "\nunknown: 1\n";
  Words by_file{"--config", (base() / "c.yaml").native(), "vm", "list", "-o", "json"};
  RunResult result = run(COCOON_PROGRAM, by_file);
  EXPECT_EQ(result.json().size(), 1U) << result.err;
  EXPECT_NE(result.err.find("unknown key"), std::string::npos);  // a warning, not on stdout
  result = run(COCOON_PROGRAM, by_file, {{"COCOON_ROOT_DIR", (base() / "other").native()}});
  EXPECT_EQ(result.out, "[]\n");
  result = run(COCOON_PROGRAM, by_file, {{"COCOON_ROOT_DIR", ""}});
  EXPECT_EQ(result.json().size(), 1U);
  by_file.insert(by_file.end(), {"--root-dir", (base() / "other").native()});
  EXPECT_EQ(run(COCOON_PROGRAM, by_file).out, "[]\n");
}

// What the installed hypervisor can do is another matter on every machine.
std::string without_capabilities(std::string text) {
  constexpr std::string_view kUnknown = "  \"capabilities\": null,\n";
  auto from = text.find("  \"capabilities\": ");
  if (from == std::string::npos) return "no capabilities in " + text;
  if (text.compare(from, kUnknown.size(), kUnknown) == 0) return text.erase(from, kUnknown.size());
  constexpr std::string_view kEnd = "\n  },\n";
  return text.erase(from, text.find(kEnd, from) + kEnd.size() - from);
}

TEST_F(Frame, PublicJsonOfAVmGolden) {
  add_vm(kId, "web-1");
  RunResult result = cocoon({"vm", "inspect", "web-1"});
  ASSERT_EQ(result.code, 0) << result.err;
  std::string text = without_capabilities(replaced(result.out, run_dir().native(), "RUN"));
  auto uid = nlohmann::json::parse(result.out)["uid"].dump();
  cocoon::test::expect_golden("vm_created.json", replaced(text, uid, "1879048192"));
  EXPECT_EQ(result.json(), cocoon({"vm", "inspect", "K3Q"}).json());
  auto record = result.json();
  record.erase("capabilities");
  EXPECT_EQ(cocoon({"vm", "list", "--output=json"}).json()[0], record);
  EXPECT_EQ(cocoon({"vm", "status", "--format=json", "web-1"}).json()[0], record);
  EXPECT_EQ(cocoon({"vm", "status", "--format=json", "other"}).out, "[]\n");
}

TEST_F(Frame, OneBadReferenceAndNothingIsDone) {
  add_vm(kId, "web");
  RunResult result = cocoon({"vm", "rm", "web", "nope"});
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(stored_vm(kId));
}

TEST_F(Frame, StoppingWhatDoesNotRunSucceeds) {
  add_vm(kId, "web");
  add_vm(kOther, "db");
  RunResult result = cocoon({"vm", "stop", "db", "web", "T5XQ"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, std::string(kOther) + "\n" + kId + "\n");  // each once, in the first order
  result = cocoon({"vm", "stop", "-o", "json", "web"});
  EXPECT_EQ(result.json(),
            (nlohmann::json{{"succeeded", {kId}}, {"failed", nlohmann::json::array()}}));
}

TEST_F(Frame, UnwritableOutputIsAnError) {
  sys::UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  if (!full.valid()) GTEST_SKIP() << "no /dev/full";
  RunResult result = run(COCOON_PROGRAM, {"version"}, {}, full.get());
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("No space left"), std::string::npos);
}

TEST_F(Frame, AClosedPipeEndsQuietly) {
  auto pipe = sys::make_pipe();
  ASSERT_TRUE(pipe);
  pipe->read_end.reset();
  RunResult result = run(COCOON_PROGRAM, {"version"}, {}, pipe->write_end.get());
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "");
}

TEST_F(Frame, VersionSaysTheSameInBothForms) {
  RunResult text = cocoon({"version"});
  RunResult json = cocoon({"version", "-o", "json"});
  std::string version = json.json()["version"];
  EXPECT_NE(text.out.find("Version:        " + version + "\n"), std::string::npos);
  EXPECT_NE(text.out.find("OS/Arch:        linux/"), std::string::npos);
}

class CocoonImage : public CliTest {};

TEST_F(CocoonImage, WorksForCocoonOfItsBuildOnly) {
  Words words = store_flags();
  words.insert(words.end(), {"image", "import", "x", "/nonexistent"});
  RunResult alone = run(COCOON_IMAGE_PROGRAM, words);
  EXPECT_EQ(alone.code, 5);
  RunResult other = run(COCOON_IMAGE_PROGRAM, words, {{"COCOON_BUILD_ID", "0123456789abcdef"}});
  EXPECT_EQ(other.code, 5);
  EXPECT_NE(other.err.find("of another build"), std::string::npos);
  EXPECT_FALSE(fs::exists(root()));
}

TEST_F(CocoonImage, IsStartedWithTheSameCommandLine) {
  RunResult result = cocoon({"image", "import", "x", "/nonexistent"});
  EXPECT_NE(result.code, 0);
  EXPECT_NE(result.err.find("/nonexistent"), std::string::npos) << result.err;
  EXPECT_EQ(error_lines(result), 1);
  EXPECT_EQ(result.out, "");
}

class Completion : public CliTest {};

TEST_F(Completion, NamesVmsOfTheStoreOnTheLine) {
  add_vm(kId, "web");
  add_vm(kOther, "db");
  Words words{"__complete"};
  for (const std::string& flag : store_flags()) words.push_back(flag);
  words.insert(words.end(), {"vm", "stop", ""});
  RunResult result = run(COCOON_PROGRAM, words);
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "db\tcreated\nweb\tcreated\n:none\n");
}

TEST_F(Completion, BashGetsItRight) {
  add_vm(kId, "web");
  // What bash does on TAB, without a terminal: -c fills COMP_*, -F calls the function.
  std::string script = R"sh(
    eval "$("$1" completion bash)"
    complete_line() {
      COMP_LINE=$1 COMP_POINT=${#1}
      read -r -a COMP_WORDS <<<"$1"
      [[ $1 == *' ' ]] && COMP_WORDS+=("")
      COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
      _cocoon
      echo "${COMPREPLY[*]}"
    }
    complete_line "$1 vm sto"
    complete_line "$1 --root-dir $2 vm inspect w"
    complete_line "$1 vm list -o "
    COMP_WORDS=("$1" vm list --format = js) COMP_CWORD=5
    COMP_LINE="$1 vm list --format=js" COMP_POINT=${#COMP_LINE}
    _cocoon; echo "${COMPREPLY[*]}"
  )sh";
  RunResult result = run("bash", {"-c", script, "bash", COCOON_PROGRAM, root().native()});
  EXPECT_EQ(result.out, "stop\nweb\njson table\njson\n") << result.err;
}

}  // namespace
}  // namespace cocoon::cli::test
