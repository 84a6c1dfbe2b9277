// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_facts.h"

#include <gtest/gtest.h>

namespace cocoon::engine {
namespace {

constexpr std::string_view kTwo =
    "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\nflags\t\t: sse fpu avx\n\n"
    "processor\t: 1\nvendor_id\t: Other\nmodel name\t: Other\nflags\t\t: none\n";

TEST(CpuFacts, AreThoseOfTheFirstProcessor) {
  auto facts = parse_cpu_facts(kTwo);
  EXPECT_EQ(facts.vendor, "AuthenticAMD");
  EXPECT_EQ(facts.model, "AMD EPYC");
  EXPECT_EQ(facts.flags, (std::vector<std::string>{"avx", "fpu", "sse"}));
  EXPECT_TRUE(parse_cpu_facts("").flags.empty());
}

TEST(CpuFacts, MustAllBeThere) {
  auto here = parse_cpu_facts(kTwo);
  EXPECT_TRUE(check_cpu(here, here));
  EXPECT_TRUE(check_cpu({}, here)) << "nobody noted them";
  EXPECT_TRUE(check_cpu({"AuthenticAMD", "old", {"sse", "fpu"}}, here)) << "in any order";
  auto lacks =
      check_cpu({"AuthenticAMD", "new", {"avx512f", "sse", "z1", "z2", "z3", "z4", "z5"}}, here);
  ASSERT_FALSE(lacks);
  EXPECT_EQ(lacks.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(lacks.error().cause.find("lacks avx512f, z1, z2, z3, z4 and 1 more"), std::string::npos)
      << lacks.error().cause;
  auto other = check_cpu({"GenuineIntel", "Xeon", {"sse"}}, here);
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().cause.find("GenuineIntel"), std::string::npos);
}

}  // namespace
}  // namespace cocoon::engine
