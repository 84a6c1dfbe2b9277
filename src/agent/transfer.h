// SPDX-License-Identifier: Apache-2.0
// The archives of `vm cp` through a session.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "agent/session.h"
#include "base/clock.h"
#include "base/error.h"
#include "tree_copy/tar.h"

namespace cocoon::agent {

// A "tar_read" or "tar_write" session whose first frame is queued. The guest's remarks (one a line,
// hostile text) go to `remark`. A guest that for a while neither sends what is wanted nor takes
// anything is given up, and so is one that sends much that nobody asked for.
class Transfer : public tree_copy::ByteSource, public tree_copy::ByteSink {
 public:
  using Remark = std::function<void(std::string_view)>;
  Transfer(Session& session, Remark remark, Milliseconds silence = Milliseconds(120'000))
      : session_(session),
        remark_(std::move(remark)),
        silence_(silence),
        patience_(deadline_in(silence)) {}

  // Bytes of the guest's archive. False at its end, and on an error, which finish() returns.
  bool read(char* to, std::size_t size) override;
  // As read(), but what there is: at least one byte; 0 at the end.
  std::size_t read_some(char* to, std::size_t size);
  // Bytes for the guest. False once it takes no more; finish() tells why.
  bool write(std::string_view bytes) override;
  // Before what is written next is read from `fd`: waits, however long, until there is something
  // (or its end). False once the guest takes no more, and when cancelled; finish() tells why.
  bool wait_for(int fd);

  // After the last read or write: lets the guest finish. kVmm with the guest's reason; the count of
  // its remarks decides between success and failure.
  Result<void> finish();

 private:
  Result<void> pump(bool may_wait);
  Result<void> discard(std::size_t size);
  Result<void> take(const agent_wire::Frame& frame);
  void take_remarks(std::string_view text);

  Session& session_;
  Remark remark_;
  Milliseconds silence_;  // how long a guest may do nothing
  Deadline patience_;     // moves on with each byte that is given, or taken and wanted
  std::string data_;
  std::size_t taken_ = 0;
  std::string line_;
  std::size_t remarks_ = 0;
  enum class Use { kRead, kReadEnd, kWrite } use_ = Use::kRead;
  std::size_t discarded_ = 0;  // bytes of stdout that nobody wants
  bool over_ = false;
  std::int64_t exit_code_ = 0;
  Result<void> result_;
};

}  // namespace cocoon::agent
