// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <thread>

#include <gtest/gtest.h>

#include "cli/exit_code.h"
#include "cli/general/doctor_report.h"
#include "cli/general/gc_report.h"
#include "cli/json_output.h"
#include "cli/table.h"
#include "sys/fd.h"
#include "sys/files.h"
#include "unit/golden.h"

namespace cocoon::cli {
namespace {

engine::BatchResult sample_batch() {
  engine::BatchResult result;
  result.succeeded = {"AAA"};
  Error error{ErrorKind::kBusy, "busy: held by stop (pid 7)", {"stop vm BBB"}, 0};
  result.failed.push_back({"BBB", error});
  return result;
}

TEST(Json, IsIndentedEscapedAndEndsWithANewline) {
  EXPECT_EQ(render_json(nlohmann::json::array()), "[]\n");
  EXPECT_EQ(render_json({{"a", "<b> & \"c\""}}),
            "{\n  \"a\": \"\\u003cb\\u003e \\u0026 \\\"c\\\"\"\n}\n");
}

TEST(Json, SurvivesTextThatIsNotUtf8) { EXPECT_EQ(render_json("a\xff"), "\"a\xef\xbf\xbd\"\n"); }

TEST(Json, BatchGolden) {
  cocoon::test::expect_golden("batch.json", render_json(batch_json(sample_batch())));
  cocoon::test::expect_golden("batch_empty.json", render_json(batch_json({})));
}

TEST(Json, DoctorAndGcGolden) {
  std::vector<engine::Check> checks = {{engine::CheckStatus::kPass, "kvm", "usable"},
                                       {engine::CheckStatus::kFail, "mkfs.erofs", "not found"}};
  cocoon::test::expect_golden("doctor.json", render_json(doctor_json(checks)));
  cocoon::test::expect_golden("doctor.txt", doctor_text(checks));
  engine::GcReport report;
  report.removed = {{"blob", "sha256:aa", 1536}, {"lock", "vm/X", 0}};
  report.skipped = {"vm Y: busy"};
  cocoon::test::expect_golden("gc.json", render_json(gc_json(report, true)));
  cocoon::test::expect_golden("gc.txt", gc_text(report, false));
  EXPECT_EQ(gc_text({}, false), "Nothing to remove.\n");
}

TEST(ExitCodes, FollowTheKind) {
  EXPECT_EQ(exit_code(ErrorKind::kInvalid), 2);
  EXPECT_EQ(exit_code(ErrorKind::kNotFound), 3);
  EXPECT_EQ(exit_code(ErrorKind::kConflict), 4);
  EXPECT_EQ(exit_code(ErrorKind::kWrongState), 4);
  EXPECT_EQ(exit_code(ErrorKind::kBusy), 4);
  EXPECT_EQ(exit_code(ErrorKind::kUnsupported), 5);
  EXPECT_EQ(exit_code(ErrorKind::kInterrupted), 130);
  for (ErrorKind kind : {ErrorKind::kInternal, ErrorKind::kTimeout, ErrorKind::kVmm,
                         ErrorKind::kCorrupt, ErrorKind::kSystem}) {
    EXPECT_EQ(exit_code(kind), 1);
  }
}

TEST(ExitCodes, OfABatchIsTheCommonOne) {
  engine::BatchResult result;
  EXPECT_EQ(exit_code(result), 0);
  result = sample_batch();
  EXPECT_EQ(exit_code(result), 4);
  result.failed.push_back({"CCC", Error{ErrorKind::kNotFound, "vm not found: CCC", {}, 0}});
  EXPECT_EQ(exit_code(result), 1);
}

TEST(Table, PadsToTheWidestCellPlusTwo) {
  Table table({"ID", "NAME", "LAST"});
  table.add({"1", "a-long-name", "x"});
  table.add({"22", "b", ""});
  EXPECT_EQ(table.render(),
            "ID  NAME         LAST\n"
            "1   a-long-name  x\n"
            "22  b            \n");
}

TEST(Table, CountsCharactersAndEscapesControls) {
  Table table({"A", "B"});
  table.add({"\xc3\xa4\xc3\xb6", "x\x1b[2J"});  // two letters in four bytes
  EXPECT_EQ(table.render(), "A   B\n\xc3\xa4\xc3\xb6  x\\x1b[2J\n");
}

struct Streams {
  sys::Pipe out = *sys::make_pipe();
  sys::Pipe err = *sys::make_pipe();
  Output output{out.write_end.get(), err.write_end.get()};
  std::string read_out() { return drain(out); }
  std::string read_err() { return drain(err); }
  static std::string drain(sys::Pipe& pipe) {
    pipe.write_end.reset();
    return *sys::read_fd(pipe.read_end.get(), 1 << 16);
  }
};

TEST(OutputStreams, NothingReachesStdoutBeforeTheFlush) {
  Streams streams;
  streams.output.print("half ");
  streams.output.line("whole");
  EXPECT_FALSE(*sys::wait_readable(streams.out.read_end.get(), 0));
  ASSERT_TRUE(streams.output.flush());
  EXPECT_EQ(streams.read_out(), "half whole\n");
}

TEST(OutputStreams, ASlowReaderBehindADescriptorThatDoesNotBlock) {
  Streams streams;
  fcntl(streams.out.write_end.get(), F_SETFL, O_NONBLOCK);
  std::string sent(1 << 20, 'x');
  std::string got;
  std::thread reader([&] {
    std::string chunk(1 << 16, '\0');
    while (got.size() < sent.size()) {
      ssize_t size = read(streams.out.read_end.get(), chunk.data(), chunk.size());
      if (size <= 0) break;
      got.append(chunk, 0, static_cast<std::size_t>(size));
    }
  });
  EXPECT_TRUE(streams.output.stream(sent));
  reader.join();
  EXPECT_EQ(got.size(), sent.size());
}

TEST(OutputStreams, ErrorIsOneEscapedLine) {
  Streams streams;
  Error error{ErrorKind::kVmm, "line one\nline two", {"inner", "outer"}, 0};
  streams.output.error(error);
  EXPECT_EQ(streams.read_err(), "Error: outer: inner: line one\\nline two\n");
}

TEST(OutputStreams, ARemarkEndsTheBarBeforeIt) {
  Streams streams;
  streams.output.draw_bar("50%");
  streams.output.draw_bar("60%");
  streams.output.remark("done");
  streams.output.draw_bar("");  // nothing stands there any more
  EXPECT_EQ(streams.read_err(), "\r50%\x1b[K\r60%\x1b[K\ndone\n");
}

TEST(OutputStreams, AFullDeviceIsAnError) {
  sys::UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  if (!full.valid()) GTEST_SKIP() << "no /dev/full";
  Output output(full.get(), full.get());
  output.line("x");
  auto flushed = output.flush();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().kind, ErrorKind::kSystem);
}

}  // namespace
}  // namespace cocoon::cli
