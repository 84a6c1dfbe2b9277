// SPDX-License-Identifier: Apache-2.0
// The flag syntax of spec 01 §1, one case a quirk.
#include "cli/parse/arguments.h"

#include <gtest/gtest.h>

namespace cocoon::cli {
namespace {

using Words = std::vector<std::string>;

// A command with a flag of every type.
struct Sample {
  bool force = false;
  bool follow = false;
  int count = 7;
  std::optional<int> tail;
  std::string name = "default";
  std::string output;
  std::optional<std::string> entrypoint;
  std::vector<std::string> env;
  std::string user;
  OptionalValue pull;
  bool help = false;

  Command command;
  FlagSet flags;

  explicit Sample(bool takes_command = false) {
    command.path = "vm sample";
    command.usage = "VM";
    command.min_names = 1;
    command.max_names = 2;
    command.takes_command = takes_command;
    command.flags = {
        {.name = "force", .target = &force, .help = ""},
        {.name = "follow", .short_name = 'f', .target = &follow, .help = ""},
        {.name = "count", .short_name = 'n', .target = &count, .help = ""},
        {.name = "tail", .target = &tail, .help = ""},
        {.name = "name", .target = &name, .help = ""},
        {.name = "output",
         .short_name = 'o',
         .target = &output,
         .help = "",
         .choices = {"json", "table"},
         .aliases = {"format"}},
        {.name = "entrypoint", .target = &entrypoint, .help = ""},
        {.name = "env", .short_name = 'e', .target = &env, .help = ""},
        {.name = "", .short_name = 'u', .target = &user, .help = ""},
        {.name = "pull", .target = &pull, .help = ""},
        {.name = "help", .short_name = 'h', .target = &help, .help = ""},
    };
    flags.add(command.flags);
  }

  Result<Arguments> parse(const Words& words) { return parse_arguments(command, flags, words); }
};

TEST(Arguments, FlagsAndPositionalsInterleave) {
  Sample sample;
  auto parsed = sample.parse({"a", "--force", "b", "--name", "x", "c"});
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(parsed->names, (Words{"a", "b", "c"}));
  EXPECT_TRUE(sample.force);
  EXPECT_EQ(sample.name, "x");
}

TEST(Arguments, NothingGivenKeepsDefaults) {
  Sample sample;
  ASSERT_TRUE(sample.parse({}));
  EXPECT_FALSE(sample.force);
  EXPECT_EQ(sample.count, 7);
  EXPECT_EQ(sample.name, "default");
  EXPECT_FALSE(sample.tail);
  EXPECT_FALSE(sample.pull.given);
}

TEST(Arguments, DoubleDashEndsFlags) {
  Sample sample;
  auto parsed = sample.parse({"a", "--", "--force", "-x", "--"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->names, (Words{"a", "--force", "-x", "--"}));
  EXPECT_FALSE(sample.force);
}

TEST(Arguments, DoubleDashStartsTheGuestCommand) {
  Sample sample(true);
  auto parsed = sample.parse({"--name", "x", "image", "--", "sh", "-c", "--force", "--", "y"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->names, (Words{"image"}));
  EXPECT_EQ(parsed->command, (Words{"sh", "-c", "--force", "--", "y"}));
}

TEST(Arguments, DoubleDashAsAValueIsAValue) {
  Sample sample(true);
  auto parsed = sample.parse({"--name", "--", "image"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(sample.name, "--");
  EXPECT_EQ(parsed->names, (Words{"image"}));
  EXPECT_TRUE(parsed->command.empty());
}

TEST(Arguments, BracketsAndCommasAreNoLists) {
  Sample sample;
  auto parsed = sample.parse({"[a,b]", "-e", "[c,d]", "-e", "e,f"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->names, (Words{"[a,b]"}));
  EXPECT_EQ(sample.env, (Words{"[c,d]", "e,f"}));
}

TEST(Arguments, SingleDashIsAPositional) {
  Sample sample;
  auto parsed = sample.parse({"-"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->names, (Words{"-"}));
}

struct ValueForm {
  const char* label;
  Words words;
  std::string want;
};
class OutputForms : public testing::TestWithParam<ValueForm> {};
TEST_P(OutputForms, SetsTheValue) {
  Sample sample;
  auto parsed = sample.parse(GetParam().words);
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(sample.output, GetParam().want);
  EXPECT_TRUE(parsed->names.empty());
}
INSTANTIATE_TEST_SUITE_P(
    Forms, OutputForms,
    testing::Values(ValueForm{"LongSpace", {"--output", "json"}, "json"},
                    ValueForm{"LongEquals", {"--output=json"}, "json"},
                    ValueForm{"ShortSpace", {"-o", "json"}, "json"},
                    ValueForm{"ShortJoined", {"-ojson"}, "json"},
                    ValueForm{"ShortEquals", {"-o=json"}, "json"},
                    ValueForm{"InACluster", {"-fojson"}, "json"},
                    ValueForm{"InAClusterEquals", {"-fo=json"}, "json"},
                    ValueForm{"InAClusterSpace", {"-fo", "json"}, "json"},
                    ValueForm{"Alias", {"--format", "json"}, "json"},
                    ValueForm{"AliasEquals", {"--format=json"}, "json"},
                    ValueForm{"LastWins", {"-o", "json", "--output=table"}, "table"},
                    ValueForm{"LastWinsAcrossAliases", {"--format=table", "-ojson"}, "json"},
                    ValueForm{"EmptyIsUnset", {"--output="}, ""},
                    ValueForm{"EmptyWord", {"-o", ""}, ""}),
    [](const auto& one) { return std::string(one.param.label); });

TEST(Arguments, EmptyValueDoesNotEatTheNextWord) {
  for (const Words& words : {Words{"--name=", "a"}, Words{"--name", "", "a"}}) {
    Sample sample;
    auto parsed = sample.parse(words);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(sample.name, "");
    EXPECT_EQ(parsed->names, (Words{"a"}));
  }
}

TEST(Arguments, ValueMayLookLikeAFlag) {
  Sample sample;
  auto parsed = sample.parse({"--name", "-f", "-u", "--force", "-e", "-x"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(sample.name, "-f");
  EXPECT_EQ(sample.user, "--force");
  EXPECT_EQ(sample.env, (Words{"-x"}));
  EXPECT_FALSE(sample.follow);
  EXPECT_FALSE(sample.force);
}

TEST(Arguments, ShortOnlyFlagHasAllForms) {
  for (const Words& words : {Words{"-u", "me"}, Words{"-ume"}, Words{"-u=me"}}) {
    Sample sample;
    ASSERT_TRUE(sample.parse(words));
    EXPECT_EQ(sample.user, "me");
  }
  Sample sample;
  EXPECT_FALSE(sample.parse({"--u", "me"}));
}

struct BoolForm {
  const char* value;
  std::optional<bool> want;
};
class Booleans : public testing::TestWithParam<BoolForm> {};
TEST_P(Booleans, ByEquals) {
  auto [value, want] = GetParam();
  for (const std::string& word : {std::string("--follow=") + value, std::string("-f=") + value}) {
    Sample sample;
    sample.follow = !want.value_or(false);
    auto parsed = sample.parse({word});
    ASSERT_EQ(parsed.has_value(), want.has_value()) << word;
    if (want) {
      EXPECT_EQ(sample.follow, *want) << word;
    } else {
      EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
      EXPECT_NE(parsed.error().to_string().find("--follow"), std::string::npos);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(
    Spellings, Booleans,
    testing::Values(BoolForm{"1", true}, BoolForm{"t", true}, BoolForm{"T", true},
                    BoolForm{"TRUE", true}, BoolForm{"true", true}, BoolForm{"True", true},
                    BoolForm{"0", false}, BoolForm{"f", false}, BoolForm{"F", false},
                    BoolForm{"FALSE", false}, BoolForm{"false", false}, BoolForm{"False", false},
                    BoolForm{"", std::nullopt}, BoolForm{"yes", std::nullopt},
                    BoolForm{"on", std::nullopt}, BoolForm{"tRUE", std::nullopt},
                    BoolForm{"{}", std::nullopt}, BoolForm{"2", std::nullopt}));

TEST(Arguments, BooleanTakesNoSeparateValue) {
  Sample sample;
  auto parsed = sample.parse({"--force", "false"});
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(sample.force);
  EXPECT_EQ(parsed->names, (Words{"false"}));
}

TEST(Arguments, LastBooleanWins) {
  Sample sample;
  ASSERT_TRUE(sample.parse({"--force", "--force=false"}));
  EXPECT_FALSE(sample.force);
}

struct NumberForm {
  const char* value;
  std::optional<int> want;
};
class Numbers : public testing::TestWithParam<NumberForm> {};
TEST_P(Numbers, InAnyBase) {
  auto [value, want] = GetParam();
  Sample sample;
  auto parsed = sample.parse({"--count", value, "--tail", value});
  ASSERT_EQ(parsed.has_value(), want.has_value());
  if (want) {
    EXPECT_EQ(sample.count, *want);
    EXPECT_EQ(sample.tail, *want);
  } else {
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(parsed.error().to_string().find(value), std::string::npos);
    EXPECT_NE(parsed.error().to_string().find("--count"), std::string::npos);
  }
}
INSTANTIATE_TEST_SUITE_P(
    Spellings, Numbers,
    testing::Values(NumberForm{"10", 10}, NumberForm{"0x10", 16}, NumberForm{"0o17", 15},
                    NumberForm{"0b11", 3}, NumberForm{"-5", -5}, NumberForm{"+5", 5},
                    NumberForm{"2147483647", 2147483647}, NumberForm{"2147483648", std::nullopt},
                    NumberForm{"", std::nullopt}, NumberForm{"ten", std::nullopt},
                    NumberForm{"1.5", std::nullopt}, NumberForm{"5 ", std::nullopt}));

TEST(Arguments, RepeatableFlagKeepsOrder) {
  Sample sample;
  ASSERT_TRUE(sample.parse({"-e", "A=1", "x", "--env=B=2", "-eC", "-e", ""}));
  EXPECT_EQ(sample.env, (Words{"A=1", "B=2", "C", ""}));
}

TEST(Arguments, OptionalValueWithChoicesStandsAlone) {
  OptionalValue when;
  Flag flag{.name = "pull", .target = &when, .help = "", .choices = {"missing", "always"}};
  EXPECT_TRUE(set_flag(flag, {"true"}));  // as the parser hands a bare one over
  EXPECT_TRUE(when.given);
  EXPECT_EQ(when.value, "");
  EXPECT_TRUE(set_flag(flag, {"always"}));
  EXPECT_EQ(when.value, "always");
  EXPECT_FALSE(set_flag(flag, {"sometimes"}));
}

TEST(Arguments, OptionalValueStandsAloneOrTakesOneByEquals) {
  Sample bare;
  auto parsed = bare.parse({"--pull", "always"});
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(bare.pull.given);
  EXPECT_EQ(bare.pull.value, "");
  EXPECT_EQ(parsed->names, (Words{"always"}));
  Sample with;
  ASSERT_TRUE(with.parse({"--pull=always"}));
  EXPECT_EQ(with.pull.value, "always");
  Sample empty;
  EXPECT_FALSE(empty.parse({"--pull="}));
}

TEST(Arguments, EmptyOptionalTextIsGiven) {
  Sample sample;
  ASSERT_TRUE(sample.parse({"--entrypoint", ""}));
  EXPECT_EQ(sample.entrypoint, "");
}

struct Mistake {
  const char* label;
  Words words;
  const char* text;
};
class Mistakes : public testing::TestWithParam<Mistake> {};
TEST_P(Mistakes, AreUsageErrors) {
  Sample sample;
  auto parsed = sample.parse(GetParam().words);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(parsed.error().to_string(), GetParam().text);
}
INSTANTIATE_TEST_SUITE_P(
    Texts, Mistakes,
    testing::Values(Mistake{"UnknownLong", {"--bogus"}, "unknown flag: --bogus"},
                    Mistake{"NearLong", {"--frce"}, "unknown flag: --frce (did you mean --force?)"},
                    Mistake{"UnknownShort", {"-x"}, "unknown shorthand flag: 'x' in -x"},
                    Mistake{"UnknownInCluster", {"-fx"}, "unknown shorthand flag: 'x' in -fx"},
                    Mistake{"Digit", {"-1"}, "unknown shorthand flag: '1' in -1"},
                    Mistake{"NoValue", {"a", "--name"}, "flag needs a value: --name"},
                    Mistake{"NoShortValue", {"-u"}, "flag needs a value: -u"},
                    Mistake{"Syntax", {"--=x"}, "bad flag syntax: --=x"},
                    Mistake{"ThreeDashes", {"---force"}, "bad flag syntax: ---force"},
                    Mistake{"Choice",
                            {"-o", "xml"},
                            "invalid value \"xml\" for --output: wanted one of json, table"}),
    [](const auto& one) { return std::string(one.param.label); });

TEST(Arguments, ArityIsChecked) {
  Sample sample;
  EXPECT_EQ(check_arity(sample.command, {}).error().to_string(), "\"cocoon vm sample\" needs VM");
  EXPECT_TRUE(check_arity(sample.command, {.names = {"a", "b"}, .command = {}}));
  auto many = check_arity(sample.command, {.names = {"a", "b", "c"}, .command = {}});
  EXPECT_EQ(many.error().to_string(), "unexpected argument \"c\" for \"cocoon vm sample\"");
  Sample guest(true);
  many = check_arity(guest.command, {.names = {"a", "b", "c"}, .command = {}});
  EXPECT_NE(many.error().to_string().find("after --"), std::string::npos);
}

TEST(Arguments, HelpIsFoundAnywhereButAsAValue) {
  Sample sample;
  EXPECT_TRUE(asks_for_help(sample.flags, {"--help"}));
  EXPECT_TRUE(asks_for_help(sample.flags, {"a", "--bogus", "-h"}));
  EXPECT_TRUE(asks_for_help(sample.flags, {"-fh"}));
  EXPECT_FALSE(asks_for_help(sample.flags, {"--help=false"}));
  EXPECT_FALSE(asks_for_help(sample.flags, {"--name", "--help"}));
  EXPECT_FALSE(asks_for_help(sample.flags, {"--", "--help"}));
}

}  // namespace
}  // namespace cocoon::cli
