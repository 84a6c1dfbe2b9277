// SPDX-License-Identifier: Apache-2.0
#include "tree_copy/tar.h"

#include <cstring>

#include <gtest/gtest.h>

#include "tree_copy/place.h"

namespace cocoon::tree_copy {
namespace {

class TextSource : public ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  bool read(char* to, std::size_t size) override {
    if (text_.size() - at_ < size) return false;
    std::memcpy(to, text_.data() + at_, size);
    at_ += size;
    return true;
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

Entry read_back(const Entry& entry) {
  TextSource source(render_entry(entry) + render_end());
  Entry back;
  std::string why;
  EXPECT_EQ(read_entry(source, back, why), ReadResult::kEntry) << why;
  return back;
}

TEST(Tar, KeepsWhatFitsUstar) {
  Entry entry;
  entry.path = "dir/file";
  entry.mode = 04755;
  entry.uid = 1000;
  entry.gid = 2000;
  entry.mtime = 1'700'000'000;
  entry.size = 12345;
  EXPECT_EQ(render_entry(entry).size(), kBlock);
  const Entry back = read_back(entry);
  EXPECT_EQ(back.path, "dir/file");
  EXPECT_EQ(back.mode, 04755U);
  EXPECT_EQ(back.uid, 1000);
  EXPECT_EQ(back.gid, 2000);
  EXPECT_EQ(back.mtime, 1'700'000'000);
  EXPECT_EQ(back.size, 12345);
}

TEST(Tar, KeepsWhatDoesNot) {
  Entry entry;
  entry.path = std::string(300, 'p');
  entry.kind = EntryKind::kSymlink;
  entry.link = std::string(400, 'l');
  entry.uid = 0xfffffffe;
  entry.mtime = 1'700'000'000;
  entry.mtime_ns = 123'456'789;
  entry.xattrs = {{"user.a", std::string("\0=\n\xff", 4)}, {"user.b", ""}};
  const Entry back = read_back(entry);
  EXPECT_EQ(back.path, entry.path);
  EXPECT_EQ(back.link, entry.link);
  EXPECT_EQ(back.uid, entry.uid);
  EXPECT_EQ(back.mtime_ns, 123'456'789);
  EXPECT_EQ(back.xattrs, entry.xattrs);
  Entry large;
  large.path = "large";
  large.size = std::int64_t{1} << 40;
  EXPECT_EQ(read_back(large).size, large.size);
}

TEST(Tar, KeepsTheHolesOfASparseFile) {
  Entry entry;
  entry.path = "holes";
  entry.size = std::int64_t{1} << 30;
  entry.sparse = true;
  entry.extents = {{4096, 512}, {1 << 20, 4096}, {1 << 30, 0}};
  const Entry back = read_back(entry);
  EXPECT_EQ(back.path, "holes");
  EXPECT_TRUE(back.sparse);
  EXPECT_EQ(back.size, entry.size);
  EXPECT_EQ(back.extents, entry.extents);
  EXPECT_EQ(data_size(back), 4608);
}

TEST(Tar, RefusesDamage) {
  Entry entry;
  entry.path = "x";
  entry.size = 1;
  const std::string good = render_entry(entry) + render_end();
  const auto read = [](std::string bytes) {
    TextSource source(std::move(bytes));
    Entry back;
    std::string why;
    return read_entry(source, back, why);
  };
  for (std::size_t at = 0; at < 345; at += 7) {
    std::string damaged = good;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    EXPECT_EQ(read(damaged), ReadResult::kBad) << at;
  }
  EXPECT_EQ(read(good.substr(0, 500)), ReadResult::kBad);
  EXPECT_EQ(read(std::string(kBlock, 'x')), ReadResult::kBad);
}

TEST(Tar, RefusesSparseMapsThatLie) {
  Entry entry;
  entry.path = "x";
  entry.size = 1000;
  entry.sparse = true;
  for (const std::vector<Extent>& extents :
       {std::vector<Extent>{{0, 2000}}, {{500, 100}, {100, 10}}, {{2000, 0}}}) {
    entry.extents = extents;
    TextSource source(render_entry(entry));
    Entry back;
    std::string why;
    EXPECT_EQ(read_entry(source, back, why), ReadResult::kBad);
  }
}

TEST(PathComponents, StayInside) {
  EXPECT_EQ(path_components("/a//./b/"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(path_components("./"), std::vector<std::string>());
  EXPECT_FALSE(path_components("a/../b"));
  EXPECT_FALSE(path_components(".."));
  EXPECT_FALSE(path_components(std::string(300, 'x')));
  EXPECT_FALSE(path_components(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace cocoon::tree_copy
