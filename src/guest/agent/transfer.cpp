// SPDX-License-Identifier: Apache-2.0
#include <cerrno>

#include "guest/agent/requests.h"
#include "guest/fd.h"
#include "tree_copy/extract.h"
#include "tree_copy/pack.h"

namespace cocoon::guest {
namespace {

class InputSource : public tree_copy::ByteSource {
 public:
  bool read(char* to, std::size_t size) override {
    while (size > 0) {
      const ssize_t got = ::read(STDIN_FILENO, to, size);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      to += got;
      size -= static_cast<std::size_t>(got);
    }
    return true;
  }
};

class OutputSink : public tree_copy::ByteSink {
 public:
  bool write(std::string_view bytes) override { return write_all(STDOUT_FILENO, bytes); }
};

void report(std::string_view line) { write_all(STDERR_FILENO, std::string(line) + "\n"); }

}  // namespace

int transfer(const agent_wire::Frame& frame) {
  if (frame.path.empty() || frame.path.find('\0') != std::string::npos) {
    report("no path");
    return 1;
  }
  bool good = false;
  if (frame.type == agent_wire::type::kTarRead) {
    OutputSink sink;
    good = tree_copy::pack_tree({frame.path, frame.follow}, sink, report);
  } else {
    InputSource source;
    tree_copy::ExtractRequest request;
    request.destination = frame.path;
    request.must_be_directory = frame.directory;
    request.confined = false;  // the guest's own files, and its own root
    good = tree_copy::extract_tree(request, source, report);
  }
  return good ? 0 : 1;
}

}  // namespace cocoon::guest
