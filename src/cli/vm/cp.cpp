// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "cli/vm/references.h"
#include "cli/vm/vm.h"
#include "engine/vm_cp.h"

namespace cocoon::cli {
namespace {

constexpr const char* kStream = "-";

// One side of the copy: a path here, "-", or VM:PATH.
struct Side {
  std::string vm;  // empty: here
  std::string path;
  bool is_stream() const { return vm.empty() && path == kStream; }
};

// A colon after a slash belongs to a path here: ./a:b.
Side parse_side(const std::string& text) {
  std::size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0 || text.find('/') < colon) return {"", text};
  std::string path = text.substr(colon + 1);
  if (!path.starts_with('/')) path.insert(0, "/");
  return {text.substr(0, colon), path};
}

class StreamSink : public tree_copy::ByteSink {
 public:
  explicit StreamSink(Output& output) : output_(output) {}
  bool write(std::string_view bytes) override { return output_.stream(bytes).has_value(); }

 private:
  Output& output_;
};

Result<int> run(App& app, bool follow, const Arguments& arguments) {
  Side from = parse_side(arguments.names[0]);
  Side to = parse_side(arguments.names[1]);
  if (from.vm.empty() == to.vm.empty()) {
    return fail(ErrorKind::kInvalid, "exactly one side has to be VM:PATH");
  }
  if (to.is_stream() && app.output().data_on_terminal()) {
    return fail(ErrorKind::kInvalid, "an archive is not for a terminal: redirect it");
  }
  FoundVm found = COCOON_TRY(find_vm(app, from.vm.empty() ? to.vm : from.vm));
  engine::CopyRequest request{from.path, to.path, follow};
  if (from.is_stream()) {
    COCOON_TRY(engine::copy_stream_in(*found.ports, found.vm, STDIN_FILENO, to.path));
  } else if (to.is_stream()) {
    StreamSink sink(app.output());
    COCOON_TRY(engine::copy_stream_out(*found.ports, found.vm, from.path, follow, sink));
  } else if (from.vm.empty()) {
    COCOON_TRY(engine::copy_in(*found.ports, found.vm, request), "copy {}", from.path);
  } else {
    COCOON_TRY(engine::copy_out(*found.ports, found.vm, request), "copy {}:{}", from.vm, from.path);
  }
  return 0;
}

}  // namespace

Command vm_cp_command() {
  auto follow = std::make_shared<bool>(false);
  Command command;
  command.path = "vm cp";
  command.usage = "SRC DST";
  command.summary = "Copy files into a running VM, or out of it";
  command.details =
      "One of the two is VM:PATH. An existing directory takes SRC under its own name, else DST is\n"
      "its new name; DIR/. is what is in DIR. - is a tar stream: from standard input into a\n"
      "directory, or to standard output. Owners, modes, times, links, holes and extended\n"
      "attributes are kept; what comes out of a guest loses devices, set-id bits and all extended\n"
      "attributes but user.*.";
  command.flags = {{.name = "follow-link",
                    .short_name = 'L',
                    .target = follow.get(),
                    .help = "copy what SRC points to, if it is a symlink"}};
  command.min_names = command.max_names = 2;
  command.names = Names::kFile;
  command.run = [follow](App& app, const Arguments& arguments) {
    return run(app, *follow, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
