// SPDX-License-Identifier: Apache-2.0
#include "guest/users.h"

#include <gtest/gtest.h>

namespace cocoon::guest {
namespace {

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "\n"
    "broken\n"
    "broken:x:x:1::/:\n"
    "negative:x:-1:0::/:\n"
    "huge:x:99999999999:0::/:\n"
    "app:x:1000:1001:An app:/home/app:/bin/sh\n"
    "app:x:7:7:second of that name:/other:/bin/sh\n"
    "1234:x:55:56:a number for a name:/number:/bin/sh\n"
    "bare:x:60:61";

constexpr const char* kGroup =
    "root:x:0:\n"
    "broken:x:\n"
    "app:x:1001:\n"
    "wheel:x:10:root,app\n"
    "video:x:44:xapp,appx\n"
    "twice:x:10:app\n"
    "extra:x:2000:app";

struct UserCase {
  const char* name;
  const char* spec;
  Credentials want;
};

class ResolveUser : public testing::TestWithParam<UserCase> {};

TEST_P(ResolveUser, LikeDocker) {
  const auto got = resolve_user(GetParam().spec, kPasswd, kGroup);
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(got->uid, GetParam().want.uid);
  EXPECT_EQ(got->gid, GetParam().want.gid);
  EXPECT_EQ(got->groups, GetParam().want.groups);
  EXPECT_EQ(got->home, GetParam().want.home);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ResolveUser,
    testing::Values(UserCase{"Default", "", {0, 0, {0, 10}, "/root"}},
                    UserCase{"Name", "app", {1000, 1001, {1001, 10, 2000}, "/home/app"}},
                    UserCase{"Number", "1000", {1000, 1001, {1001, 10, 2000}, "/home/app"}},
                    UserCase{"NumberWithoutEntry", "4242", {4242, 0, {0}, "/"}},
                    UserCase{"NumberIsNeverAName", "1234", {1234, 0, {0}, "/"}},
                    UserCase{"NameAndGroup", "app:wheel", {1000, 10, {10}, "/home/app"}},
                    UserCase{"NameAndGid", "app:5", {1000, 5, {5}, "/home/app"}},
                    UserCase{"UidAndGid", "4242:4343", {4242, 4343, {4343}, "/"}},
                    UserCase{"GroupAlone", ":wheel", {0, 10, {10}, "/root"}},
                    UserCase{"EmptyGroup", "app:", {1000, 1001, {1001, 10, 2000}, "/home/app"}},
                    UserCase{"NoHome", "bare", {60, 61, {61}, "/"}},
                    UserCase{"LargestId",
                             "2147483647:2147483647",
                             {2147483647, 2147483647, {2147483647}, "/"}}),
    [](const auto& p) { return std::string(p.param.name); });

class ResolveUserRefuses : public testing::TestWithParam<const char*> {};

TEST_P(ResolveUserRefuses, WhatNobodyIs) {
  const auto got = resolve_user(GetParam(), kPasswd, kGroup);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().exit_code, kExitBootFailed);
}

INSTANTIATE_TEST_SUITE_P(Cases, ResolveUserRefuses,
                         testing::Values("ghost", "app:ghosts", "broken", "negative", "huge", "-1",
                                         "2147483648", "99999999999999999999", "0:4294967296",
                                         "app:wheel:more", "app:-5"));

TEST(ResolveUser, WorksWithoutTheFiles) {
  const auto got = resolve_user("", "", "");
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, (Credentials{0, 0, {0}, "/"}));
  EXPECT_FALSE(resolve_user("root", "", ""));
  EXPECT_TRUE(resolve_user("0:0", "", ""));
}

TEST(ResolveUser, BoundsTheNumberOfGroups) {
  std::string group;
  for (int i = 0; i < 70'000; ++i) {
    group += "g:x:";
    group += std::to_string(i);
    group += ":root\n";
  }
  const auto got = resolve_user("root", kPasswd, group);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->groups.size(), 65'536U);  // NGROUPS_MAX
}

}  // namespace
}  // namespace cocoon::guest
