// SPDX-License-Identifier: Apache-2.0
#include "image/catalog/reference.h"

#include <gtest/gtest.h>

namespace cocoon::image {
namespace {

struct Case {
  const char* text;
  const char* canonical;
};

class CanonicalNames : public testing::TestWithParam<Case> {};

TEST_P(CanonicalNames, AreAsDockerWritesThem) {
  EXPECT_EQ(canonical_name(GetParam().text), GetParam().canonical);
}

constexpr const char* kDigest =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

INSTANTIATE_TEST_SUITE_P(
    All, CanonicalNames,
    testing::Values(
        Case{"ubuntu", "index.docker.io/library/ubuntu:latest"},
        Case{"ubuntu:24.04", "index.docker.io/library/ubuntu:24.04"},
        Case{"docker.io/library/ubuntu:24.04", "index.docker.io/library/ubuntu:24.04"},
        Case{"docker.io/ubuntu", "index.docker.io/library/ubuntu:latest"},
        Case{"foo/bar", "index.docker.io/foo/bar:latest"},
        // Without a dot or a port the first part is no host.
        Case{"localhost/foo", "index.docker.io/localhost/foo:latest"},
        Case{"localhost:5000/foo", "localhost:5000/foo:latest"},
        Case{"ghcr.io/x/y:v1", "ghcr.io/x/y:v1"},
        Case{"[::1]:5000/x", "[::1]:5000/x"},  // '[' is no letter of a name: no reference
        Case{"repo:tag@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
             "index.docker.io/library/repo@sha256:"
             "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
        // No references: their own canonical names.
        Case{"MyImage", "MyImage"}, Case{"a:", "a:"}, Case{"ghcr.io:port/x", "ghcr.io:port/x"},
        Case{"", ""}));

TEST(ParseReference, NamesInFull) {
  EXPECT_EQ(parse_reference("ubuntu")->name(), "docker.io/library/ubuntu:latest");
  EXPECT_EQ(parse_reference("index.docker.io/foo/bar:1")->name(), "docker.io/foo/bar:1");
  EXPECT_EQ(parse_reference("localhost:5000/foo")->name(), "localhost:5000/foo:latest");
  // The full name means the same image.
  EXPECT_EQ(canonical_name(parse_reference("ubuntu")->name()), canonical_name("ubuntu"));
}

TEST(ParseReference, TheFullNameIsOneToo) {
  std::string longest(255 - std::string("library/").size(), 'a');
  EXPECT_TRUE(parse_reference(longest));
  EXPECT_EQ(canonical_name(canonical_name(longest)), canonical_name(longest));
  EXPECT_FALSE(parse_reference(longest + "a"));
}

TEST(ParseReference, UrlsAreNone) {
  for (const char* url : {"https://example.org/disk.img", "http://h/x"}) {
    EXPECT_TRUE(is_url(url));
    EXPECT_FALSE(parse_reference(url)) << url;
    EXPECT_EQ(canonical_name(url), url);
  }
  EXPECT_FALSE(is_url("https"));
  EXPECT_FALSE(is_url("HTTP://x"));
}

TEST(ParseReference, KeepsDigests) {
  auto reference = parse_reference(std::string("ghcr.io/ns/img@") + kDigest);
  ASSERT_TRUE(reference);
  EXPECT_EQ(reference->registry, "ghcr.io");
  EXPECT_EQ(reference->repository, "ns/img");
  EXPECT_EQ(reference->digest, kDigest);
  EXPECT_TRUE(reference->tag.empty());
}

TEST(ImageNames, GoodOnes) {
  for (const char* name :
       {"ubuntu:24.04", "MyImage", "win11", "a", "ghcr.io/x/y:v1.2_3-4", "abcdef"}) {
    EXPECT_TRUE(check_image_name(name)) << name;
  }
}

TEST(ImageNames, BadOnes) {
  for (const char* name :
       {"", " ", "a b", "a\n", "a\x1b[2J", "https://example.org/x", "sha256:00", "x@y",
        "0123456789ab", "ABCDEF012345", "-rf", "/etc", ".hidden", "caf\xc3\xa9"}) {
    auto result = check_image_name(name);
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().kind, ErrorKind::kInvalid);
  }
  EXPECT_FALSE(check_image_name(std::string(513, 'a')));
}

TEST(DigestDigits, TakeFullAndPartialDigests) {
  EXPECT_EQ(digest_digits(kDigest), std::string(kDigest).substr(7));
  EXPECT_EQ(digest_digits("sha256:0123456789ab"), "0123456789ab");
  EXPECT_EQ(digest_digits("0123456789AB"), "0123456789ab");
  EXPECT_FALSE(digest_digits("0123456789a"));
  EXPECT_FALSE(digest_digits("0123456789abg"));
  EXPECT_FALSE(digest_digits(std::string(65, 'a')));
}

}  // namespace
}  // namespace cocoon::image
