// SPDX-License-Identifier: Apache-2.0
// The process ends as by kill -9 at each side effect in turn; the same command again, and gc, leave
// exactly what an undisturbed run leaves. Also: a signal in the middle of the work.
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "base/text.h"
#include "image/catalog/collect.h"
#include "integration/image/fixture.h"
#include "integration/image/kernel_sample.h"
#include "integration/image/tar_builder.h"
#include "sys/spawn.h"

namespace cocoon::test {
namespace {

class Faults : public ImageStore {
 protected:
  using Args = std::vector<std::string>;

  sys::SpawnSpec tool(const Args& args, const std::string& fault = "") const {
    sys::SpawnSpec spec;
    spec.program = COCOON_IMPORT_TOOL;
    spec.args = {config_.root_dir.native()};
    spec.args.insert(spec.args.end(), args.begin(), args.end());
    spec.env = {fmt::format("PATH={}", getenv("PATH")),
                "COCOON_TEST_EROFS_COMPRESSION=" + config_.erofs_compression};
    if (!fault.empty()) spec.env.push_back(fault);
    return spec;
  }

  int run(const Args& args, const std::string& fault = "") const {
    auto child = sys::spawn(tool(args, fault));
    EXPECT_TRUE(child) << child.error().to_string();
    auto status = child->wait(deadline_in(std::chrono::minutes(2)));
    EXPECT_TRUE(status);
    return *status;
  }

  std::size_t count_side_effects(const Args& args) const {
    fs::path trace = dir_->path() / "trace";
    EXPECT_EQ(run(args, "COCOON_FAULT_TRACE=" + trace.native()), 0);
    auto text = sys::read_file(trace, 1 << 20);
    EXPECT_TRUE(text) << "no side effects recorded";
    return text ? split(trim(*text), '\n').size() : 0;
  }

  void reset() {
    db_.reset();
    ports_.reset();
    ASSERT_TRUE(sys::remove_tree(config_.root_dir));
  }

  // Kills `command` at every side effect; `prepare` comes before, `undo` after.
  void sweep(const Args& command, const Args& undo, const Args& prepare = {}) {
    if (!COCOON_FAULTS) GTEST_SKIP() << "built without COCOON_FAULTS";
    reset();
    if (!prepare.empty()) {
      ASSERT_EQ(run(prepare), 0);
    }
    std::size_t count = count_side_effects(command);
    ASSERT_EQ(run({"gc"}), 0);
    auto complete = files();
    for (std::size_t point = 1; point <= count; ++point) {
      SCOPED_TRACE(point);
      reset();
      if (!prepare.empty()) {
        ASSERT_EQ(run(prepare), 0);
      }
      int status = run(command, fmt::format("COCOON_FAULT={}", point));
      EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
      // Half of the time gc comes first, half of the time the next attempt.
      if (point % 2 == 0) {
        ASSERT_EQ(run({"gc"}), 0);
      }
      run(command);
      ASSERT_EQ(run({"gc"}), 0);
      EXPECT_EQ(files(), complete);
      if (!undo.empty()) {
        EXPECT_EQ(run(undo), 0);
        ASSERT_EQ(run({"gc"}), 0);
        EXPECT_EQ(files(), std::vector<std::string>());
      }
    }
  }
};

TEST_F(Faults, ImageImport) {
  auto file_name = write(
      "in.tar",
      docker_archive({tar({file("a"), file("boot/vmlinuz", "k"), file("boot/initrd.img", "i")}),
                      tar({file("b")})}));
  sweep({"image", "one", file_name}, {"rm-image", "one"});
}

TEST_F(Faults, ImageImportFromAStream) {
  auto file_name = write("in.tar.gz", gzip(tar({file("a")})));
  sweep({"image", "one", file_name}, {"rm-image", "one"});
}

TEST_F(Faults, Gc) {
  auto file_name = write("in.tar", tar({file("a")}));
  if (!COCOON_FAULTS) GTEST_SKIP() << "built without COCOON_FAULTS";
  for (int point = 1; point < 20; ++point) {
    SCOPED_TRACE(point);
    reset();
    ASSERT_EQ(run({"image", "one", file_name}), 0);
    ASSERT_EQ(run({"rm-image", "one"}), 0);
    int status = run({"gc"}, fmt::format("COCOON_FAULT={}", point));
    ASSERT_EQ(run({"gc"}), 0);
    EXPECT_TRUE(files().empty());
    if (status == 0) return;  // past the last side effect
  }
  FAIL() << "gc never came to its end";
}

TEST_F(Faults, KernelImport) {
  KernelSample sample(dir_->path() / "sample");
  sweep({"kernel", "k", sample.kernel(), sample.modules(), sample.guest()}, {"rm-kernel", "k"});
}

TEST_F(Faults, ASignalUnwindsEverything) {
  std::string noise(48 << 20, '\0');
  unsigned seed = 7;
  for (char& c : noise) c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  auto file_name = write("big.tar.gz", gzip(tar({file("noise", noise)})));
  int interrupted = 0;
  for (int delay : {20, 150, 400, 800}) {
    auto child = sys::spawn(tool({"image", "one", file_name}));
    ASSERT_TRUE(child);
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    kill(child->pid(), SIGINT);
    auto status = child->wait(deadline_in(std::chrono::minutes(2)));
    ASSERT_TRUE(status);
    if (*status != 0) {
      ++interrupted;
      EXPECT_EQ(files(), std::vector<std::string>());
    } else {
      ASSERT_EQ(run({"rm-image", "one"}), 0);
      ASSERT_EQ(run({"gc"}), 0);
    }
  }
  EXPECT_GT(interrupted, 0);
}

}  // namespace
}  // namespace cocoon::test
