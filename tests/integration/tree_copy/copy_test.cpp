// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tree_copy/extract.h"
#include "tree_copy/pack.h"

namespace cocoon::tree_copy {
namespace {

namespace fs = std::filesystem;

class Pipe : public ByteSource, public ByteSink {
 public:
  bool write(std::string_view bytes) override {
    text += bytes;
    return true;
  }
  bool read(char* to, std::size_t size) override {
    if (text.size() - at < size) return false;
    std::memcpy(to, text.data() + at, size);
    at += size;
    return true;
  }
  std::string text;
  std::size_t at = 0;
};

class CopyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cocoon-copy-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    fs::create_directories(dir_ / "out");
  }
  void TearDown() override { fs::remove_all(dir_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name) << text;
  }
  std::string read(const std::string& name) {
    std::ifstream in(dir_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool pack(const std::string& name, bool follow = false) {
    return pack_tree({(dir_ / name).string(), follow}, pipe_,
                     [this](std::string_view line) { said_ += std::string(line) + "\n"; });
  }
  bool extract(const std::string& name, bool confined = true, const std::string& top = "") {
    ExtractRequest request;
    request.destination = (dir_ / name).string();
    request.confined = confined;
    request.top = top;
    return extract_tree(request, pipe_,
                        [this](std::string_view line) { said_ += std::string(line) + "\n"; });
  }
  // An archive of single entries, with the content "data" for files.
  void add(EntryKind kind, const std::string& path, const std::string& link = "",
           unsigned mode = 0644) {
    Entry entry;
    entry.kind = kind;
    entry.path = path;
    entry.link = link;
    entry.mode = mode;
    entry.uid = getuid();
    entry.gid = getgid();
    entry.size = kind == EntryKind::kFile ? 4 : 0;
    pipe_.write(render_entry(entry));
    if (kind == EntryKind::kFile) pipe_.write("data" + std::string(508, '\0'));
  }

  fs::path dir_;
  Pipe pipe_;
  std::string said_;
};

TEST_F(CopyTest, KeepsATree) {
  fs::create_directories(dir_ / "tree/sub/deep");
  write("tree/a", "hello");
  write("tree/sub/" + std::string(120, 'n'), "long");
  fs::permissions(dir_ / "tree/a", fs::perms(0640));
  fs::permissions(dir_ / "tree/sub", fs::perms(0750));
  fs::create_symlink("a", dir_ / "tree/link");
  fs::create_hard_link(dir_ / "tree/a", dir_ / "tree/twin");
  const bool has_xattrs = setxattr((dir_ / "tree/a").c_str(), "user.k", "v", 1, 0) == 0;
  ASSERT_TRUE(pack("tree")) << said_;
  ASSERT_TRUE(extract("out")) << said_;
  EXPECT_EQ(read("out/tree/a"), "hello");
  EXPECT_EQ(read("out/tree/sub/" + std::string(120, 'n')), "long");
  EXPECT_TRUE(fs::is_directory(dir_ / "out/tree/sub/deep"));
  EXPECT_EQ(fs::status(dir_ / "out/tree/a").permissions(), fs::perms(0640));
  EXPECT_EQ(fs::status(dir_ / "out/tree/sub").permissions(), fs::perms(0750));
  EXPECT_EQ(fs::read_symlink(dir_ / "out/tree/link"), "a");
  EXPECT_EQ(fs::hard_link_count(dir_ / "out/tree/twin"), 2U);
  EXPECT_EQ(fs::last_write_time(dir_ / "out/tree/sub"), fs::last_write_time(dir_ / "tree/sub"));
  char value = 0;
  if (has_xattrs) {
    EXPECT_EQ(getxattr((dir_ / "out/tree/a").c_str(), "user.k", &value, 1), 1);
  }
}

TEST_F(CopyTest, KeepsHoles) {
  const int fd = open((dir_ / "holes").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(ftruncate(fd, 1 << 28), 0);
  ASSERT_EQ(pwrite(fd, "x", 1, 1 << 27), 1);
  close(fd);
  ASSERT_TRUE(pack("holes"));
  EXPECT_LT(pipe_.text.size(), 1U << 22);
  ASSERT_TRUE(extract("out/copy")) << said_;
  struct stat info {};
  ASSERT_EQ(stat((dir_ / "out/copy").c_str(), &info), 0);
  EXPECT_EQ(info.st_size, 1 << 28);
  EXPECT_LT(info.st_blocks * 512, 1 << 22);
}

TEST_F(CopyTest, NamesAsCpDoes) {
  fs::create_directories(dir_ / "tree");
  write("tree/a", "1");
  ASSERT_TRUE(pack("tree"));
  ASSERT_TRUE(extract("out/new")) << said_;  // not there: its new name
  EXPECT_EQ(read("out/new/a"), "1");
  pipe_ = Pipe();
  ASSERT_TRUE(pack("tree/."));
  ASSERT_TRUE(extract("out")) << said_;  // the content alone
  EXPECT_EQ(read("out/a"), "1");
  pipe_ = Pipe();
  ASSERT_TRUE(pack("tree/a"));
  write("out/file", "old");
  ASSERT_TRUE(extract("out/file")) << said_;  // replaced
  EXPECT_EQ(read("out/file"), "1");
  pipe_ = Pipe();
  ASSERT_TRUE(pack("tree"));
  EXPECT_FALSE(extract("out/file"));  // a directory over a file
  pipe_ = Pipe();
  ASSERT_TRUE(pack("tree/a"));
  EXPECT_FALSE(extract("out/none/x"));
}

TEST_F(CopyTest, NothingLandsOutside) {
  write("secret", "safe");
  fs::create_directories(dir_ / "other");
  add(EntryKind::kFile, "/abs");  // below the destination
  add(EntryKind::kFile, "../secret");
  add(EntryKind::kFile, "a/../../secret");
  add(EntryKind::kSymlink, "up", "..");
  add(EntryKind::kFile, "up/secret");
  add(EntryKind::kSymlink, "far", (dir_ / "other").string());
  add(EntryKind::kFile, "far/x");
  add(EntryKind::kDirectory, "far/y", "", 0755);
  add(EntryKind::kSymlink, "file", (dir_ / "secret").string());
  add(EntryKind::kFile, "file");  // replaces the link
  add(EntryKind::kHardLink, "hard", "../secret");
  add(EntryKind::kHardLink, "hard2", "up/secret");
  pipe_.write(render_end());
  EXPECT_FALSE(extract("out"));
  EXPECT_EQ(read("secret"), "safe");
  EXPECT_TRUE(fs::is_empty(dir_ / "other"));
  EXPECT_EQ(read("out/abs"), "data");
  EXPECT_EQ(read("out/file"), "data");
  EXPECT_FALSE(fs::is_symlink(dir_ / "out/file"));
  EXPECT_FALSE(fs::exists(dir_ / "out/hard"));
  EXPECT_FALSE(fs::exists(dir_ / "out/hard2"));
}

TEST_F(CopyTest, NothingLandsButWhatWasAskedFor) {
  write("out/.bashrc", "safe");
  fs::permissions(dir_ / "out", fs::perms(0710));
  add(EntryKind::kDirectory, "wanted", "", 0755);
  add(EntryKind::kFile, "wanted/a");
  add(EntryKind::kFile, ".bashrc");
  add(EntryKind::kFile, "./new");
  add(EntryKind::kFile, "wantedly");
  add(EntryKind::kDirectory, "./", "", 0777);
  add(EntryKind::kHardLink, "wanted/b", ".bashrc");
  pipe_.write(render_end());
  EXPECT_FALSE(extract("out", true, "wanted"));
  EXPECT_EQ(read("out/wanted/a"), "data");
  EXPECT_EQ(read("out/.bashrc"), "safe");
  EXPECT_EQ(fs::hard_link_count(dir_ / "out/.bashrc"), 1U);
  EXPECT_FALSE(fs::exists(dir_ / "out/new"));
  EXPECT_FALSE(fs::exists(dir_ / "out/wantedly"));
  EXPECT_EQ(fs::status(dir_ / "out").permissions(), fs::perms(0710));
}

TEST_F(CopyTest, AnUnaskedTopMakesNoDestination) {
  for (const std::string name : {"other", "./"}) {
    pipe_ = Pipe();
    add(EntryKind::kDirectory, name, "", 0755);
    pipe_.write(render_end());
    EXPECT_FALSE(extract("out/new", true, "wanted")) << name;
    EXPECT_FALSE(fs::exists(dir_ / "out/new")) << name;
  }
  pipe_ = Pipe();
  add(EntryKind::kFile, "wanted");
  pipe_.write(render_end());
  EXPECT_TRUE(extract("out/new", true, "wanted")) << said_;
  EXPECT_EQ(read("out/new"), "data");
}

TEST_F(CopyTest, AStrangerLeavesTheDestinationItsMode) {
  fs::permissions(dir_ / "out", fs::perms(0710));
  add(EntryKind::kDirectory, "./", "", 0777);
  add(EntryKind::kFile, "./a");
  pipe_.write(render_end());
  EXPECT_TRUE(extract("out")) << said_;
  EXPECT_EQ(read("out/a"), "data");
  EXPECT_EQ(fs::status(dir_ / "out").permissions(), fs::perms(0710));
}

TEST_F(CopyTest, TheTopIsNamedAsItIsPacked) {
  EXPECT_EQ(top_name("/etc/hosts"), "hosts");
  EXPECT_EQ(top_name("dir//"), "dir");
  EXPECT_EQ(top_name("/"), ".");
  EXPECT_EQ(top_name("dir/."), ".");
  EXPECT_EQ(top_name("dir/.."), ".");
}

TEST_F(CopyTest, AttributesOfDirectoriesAreKeptInBoundedMemory) {
  Entry entry;
  entry.kind = EntryKind::kDirectory;
  entry.mode = 0755;
  entry.uid = getuid();
  entry.gid = getgid();
  entry.xattrs = {{"trusted.big", std::string(512 << 10, 'v')}};
  for (int i = 0; i < 200; ++i) {
    entry.path = "d" + std::to_string(i);
    pipe_.write(render_entry(entry));
  }
  pipe_.write(render_end());
  EXPECT_TRUE(extract("out")) << said_;  // what is left out does not count
  EXPECT_EQ(fs::status(dir_ / "out/d199").permissions(), fs::perms(0755));
  pipe_ = Pipe();
  entry.xattrs = {{"user.big", std::string(512 << 10, 'v')}};
  entry.path = "d";
  for (int i = 0; i < 200; ++i) pipe_.write(render_entry(entry));
  pipe_.write(render_end());
  EXPECT_FALSE(extract("out"));
  EXPECT_NE(said_.find("too many directories"), std::string::npos);
}

TEST_F(CopyTest, ALinkInTheDestinationIsNotFollowed) {
  fs::create_directories(dir_ / "other");
  fs::create_directory_symlink(dir_ / "other", dir_ / "out/dir");
  add(EntryKind::kDirectory, "dir", "", 0755);
  add(EntryKind::kFile, "dir/x");
  pipe_.write(render_end());
  EXPECT_FALSE(extract("out"));
  EXPECT_TRUE(fs::is_empty(dir_ / "other"));
}

TEST_F(CopyTest, AStrangerMakesNoDevicesAndNoSetId) {
  add(EntryKind::kFile, "su", "", 06755);
  add(EntryKind::kCharDevice, "null", "", 0666);
  add(EntryKind::kFile, "after");
  pipe_.write(render_end());
  EXPECT_FALSE(extract("out"));
  EXPECT_EQ(fs::status(dir_ / "out/su").permissions(), fs::perms(0755));
  EXPECT_FALSE(fs::exists(dir_ / "out/null"));
  EXPECT_EQ(read("out/after"), "data");
}

TEST_F(CopyTest, WritesThroughNothingThatIsThere) {
  ASSERT_EQ(mkfifo((dir_ / "out/pipe").c_str(), 0600), 0);  // opening it would block for ever
  write("elsewhere", "safe");
  fs::create_hard_link(dir_ / "elsewhere", dir_ / "out/shared");
  add(EntryKind::kFile, "pipe");
  add(EntryKind::kFile, "shared");
  pipe_.write(render_end());
  EXPECT_TRUE(extract("out")) << said_;
  EXPECT_EQ(read("out/pipe"), "data");
  EXPECT_EQ(read("elsewhere"), "safe");
}

TEST_F(CopyTest, ACutOffArchiveIsAnError) {
  fs::create_directories(dir_ / "tree");
  write("tree/a", std::string(5000, 'x'));
  ASSERT_TRUE(pack("tree"));
  for (const std::size_t size : {0U, 100U, 600U, 1500U, 4000U}) {
    Pipe whole = pipe_;
    pipe_.text.resize(size);
    EXPECT_FALSE(extract("out")) << size;
    pipe_ = whole;
  }
}

}  // namespace
}  // namespace cocoon::tree_copy
