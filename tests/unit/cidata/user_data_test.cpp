// SPDX-License-Identifier: Apache-2.0
#include "cidata/user_data.h"

#include <gtest/gtest.h>

namespace cocoon::cidata {
namespace {

const CloudConfig kOurs{"#cloud-config\nssh_pwauth: true\nmounts: []\n", "ssh_pwauth: true\n"};

TEST(MergeUserData, LeavesOursAloneWithoutTheUsers) {
  for (const std::optional<std::string>& none :
       {std::optional<std::string>(), std::optional<std::string>(""),
        std::optional<std::string>(" \n")}) {
    auto text = merge_user_data(kOurs, none);
    ASSERT_TRUE(text);
    EXPECT_EQ(*text, kOurs.document);
  }
}

TEST(MergeUserData, PutsOursBehindTheUsers) {
  auto text = merge_user_data(kOurs, "#!/bin/sh\necho \xc3\xa9\n");
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_EQ(*text, R"(Content-Type: multipart/mixed; boundary="cocoon-user-data-0"
MIME-Version: 1.0

--cocoon-user-data-0
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: base64

IyEvYmluL3NoCmVjaG8gw6kK
--cocoon-user-data-0
Content-Type: text/cloud-config; charset="us-ascii"
Merge-Type: list(append)+dict(no_replace,recurse_list)+str()

#cloud-config
ssh_pwauth: true
mounts: []
--cocoon-user-data-0
Content-Type: text/cloud-config; charset="us-ascii"
Merge-Type: list()+dict(replace)+str()

#cloud-config
ssh_pwauth: true
--cocoon-user-data-0--
)");
}

TEST(MergeUserData, HasNoThirdPartWithoutSingleValues) {
  auto text = merge_user_data({"#cloud-config\n", ""}, "#cloud-config\n");
  ASSERT_TRUE(text);
  EXPECT_EQ(text->find("dict(replace)"), std::string::npos);
}

TEST(MergeUserData, WrapsLongTextAtSeventySixColumns) {
  for (std::size_t size : {std::size_t{57}, std::size_t{58}, std::size_t{114}, std::size_t{5000}}) {
    std::string users = "#!" + std::string(size - 2, 'x');
    auto text = merge_user_data(kOurs, users);
    ASSERT_TRUE(text);
    std::size_t begin = text->find("base64\n\n") + 8;
    std::string body = text->substr(begin, text->find("--cocoon", begin) - begin);
    std::size_t lines = (size + 56) / 57;
    EXPECT_EQ(body.size(), (size + 2) / 3 * 4 + lines) << size;
    EXPECT_EQ(body.find('\n'), std::min<std::size_t>(76, (size + 2) / 3 * 4));
  }
}

TEST(MergeUserData, NestsAMultipartMessageUnderAFreeBoundary) {
  std::string users =
      "From nobody Sat Jan  1 00:00:00 2000\n"
      "Content-Type: multipart/mixed; boundary=\"cocoon-user-data-0\"\n"
      "MIME-Version: 1.0\n\n--cocoon-user-data-0\n\n#!/bin/sh\n--cocoon-user-data-0--";
  auto text = merge_user_data(kOurs, users);
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_EQ(text->find("From nobody"), std::string::npos);
  EXPECT_EQ(text->rfind("Content-Type: multipart/mixed; boundary=\"cocoon-user-data-1\"\n", 0), 0U);
  EXPECT_NE(text->find("--cocoon-user-data-1\nContent-Type: multipart/mixed; "
                       "boundary=\"cocoon-user-data-0\"\n"),
            std::string::npos);
}

TEST(MergeUserData, TakesEveryKindThatCloudInitKnows) {
  for (const char* start :
       {"#cloud-config\na: 1", "#CLOUD-CONFIG", "\n#cloud-config", "#!/bin/sh",
        "#include\nhttps://example.com/x", "#include-once\n", "#cloud-boothook\n",
        "#cloud-config-archive\n- {}", "#cloud-config-jsonp\n[]", "#part-handler\n",
        "## template: jinja\n#cloud-config\n"}) {
    EXPECT_TRUE(merge_user_data(kOurs, start)) << start;
  }
}

TEST(MergeUserData, RefusesTheRest) {
  for (const std::string& users :
       {std::string("hello"), std::string("runcmd: [ls]"), std::string("\x1f\x8b\x08\x00", 4),
        std::string("#cloud-config\n\xff"), std::string("#!\0", 3), std::string("# comment")}) {
    auto text = merge_user_data(kOurs, users);
    ASSERT_FALSE(text) << users;
    EXPECT_EQ(text.error().kind, ErrorKind::kInvalid);
  }
}

}  // namespace
}  // namespace cocoon::cidata
