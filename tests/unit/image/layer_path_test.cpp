// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/layer_path.h"

#include <gtest/gtest.h>

namespace cocoon::image {
namespace {

TEST(LayerPath, DropsWhatMeansNothing) {
  auto path = parse_layer_path("/./usr//lib/./libc.so");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->parent, "usr/lib");
  EXPECT_EQ(path->name, "libc.so");
  EXPECT_EQ(path->full(), "usr/lib/libc.so");
}

TEST(LayerPath, KnowsTheRoot) {
  for (const char* root : {"", "/", ".", "./", "/./"}) {
    auto path = parse_layer_path(root);
    ASSERT_TRUE(path) << root;
    EXPECT_TRUE(path->name.empty() && path->parent.empty()) << root;
  }
}

TEST(LayerPath, RefusesWhatLeadsOut) {
  for (const std::string& path : {std::string(".."), std::string("../x"), std::string("a/../b"),
                                  std::string("a/.."), std::string("/../x"), std::string(256, 'n'),
                                  std::string(4097, '/'), std::string("a\0b", 3)}) {
    auto result = parse_layer_path(path);
    ASSERT_FALSE(result) << path;
    EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt);
  }
  EXPECT_TRUE(parse_layer_path("..."));
  EXPECT_TRUE(parse_layer_path("..a"));
  EXPECT_TRUE(parse_layer_path(std::string(255, 'n')));
}

struct MarkerCase {
  const char* path;
  Marker marker;
  const char* hidden;
};

class Markers : public testing::TestWithParam<MarkerCase> {};

TEST_P(Markers, AreRecognised) {
  auto path = parse_layer_path(GetParam().path);
  ASSERT_TRUE(path);
  auto marked = classify(*path);
  ASSERT_TRUE(marked);
  EXPECT_EQ(marked->marker, GetParam().marker);
  EXPECT_EQ(marked->path.name, GetParam().hidden);
}

INSTANTIATE_TEST_SUITE_P(All, Markers,
                         testing::Values(MarkerCase{"a/.wh.b", Marker::kWhiteout, "b"},
                                         MarkerCase{".wh..b", Marker::kWhiteout, ".b"},
                                         MarkerCase{"a/.wh..wh..opq", Marker::kOpaque,
                                                    ".wh..wh..opq"},
                                         MarkerCase{".wh..wh.aufs", Marker::kAufs, ".wh..wh.aufs"},
                                         MarkerCase{".wh..wh.plnk/x", Marker::kAufs, "x"},
                                         MarkerCase{"a/wh.b", Marker::kNone, "wh.b"},
                                         MarkerCase{"a/.whb", Marker::kNone, ".whb"}));

TEST(Markers, NonsenseIsRefused) {
  for (const char* text : {".wh.", "a/.wh.", ".wh..", ".wh...", ".wh.x/y"}) {
    auto path = parse_layer_path(text);
    ASSERT_TRUE(path);
    EXPECT_FALSE(classify(*path)) << text;
  }
}

TEST(MemberNames, AreComparedPlainly) {
  EXPECT_EQ(plain_member_name("././manifest.json"), "manifest.json");
  EXPECT_EQ(plain_member_name("dir/"), "dir");
}

TEST(MemberLinks, StayInTheArchive) {
  EXPECT_EQ(linked_member("b/layer.tar", "../a/layer.tar"), "a/layer.tar");
  EXPECT_EQ(linked_member("b/layer.tar", "./x"), "b/x");
  EXPECT_EQ(linked_member("layer.tar", "../x"), "");
  EXPECT_EQ(linked_member("layer.tar", "/etc/passwd"), "");
}

}  // namespace
}  // namespace cocoon::image
