// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "cli/json_output.h"
#include "cli/vm/disk/disk.h"
#include "cli/vm/references.h"
#include "engine/vm_disk_detach.h"
#include "engine/vm_view.h"

namespace cocoon::cli {
namespace {

struct DetachFlags {
  bool remove = false;
  std::string keep;
  std::string format;
};

// Data is never lost by a word too few.
Result<void> check(const DetachFlags& flags) {
  if (flags.remove != !flags.keep.empty()) return {};
  return fail(ErrorKind::kInvalid,
              "say what becomes of the disk's data: --delete, or --keep FILE to move it there");
}

Result<int> run(App& app, const DetachFlags& flags, const Arguments& arguments) {
  FoundVm found = COCOON_TRY(find_vm(app, arguments.names[0]));
  engine::DetachOptions options;
  if (!flags.keep.empty()) {
    std::error_code error;
    options.keep = std::filesystem::absolute(flags.keep, error).lexically_normal();
    if (error) return fail(ErrorKind::kInvalid, "--keep {}: {}", flags.keep, error.message());
  }
  auto vm = COCOON_TRY(engine::detach_disk(*found.ports, found.vm.id, arguments.names[1], options));
  if (wants_json(flags.format)) {
    app.output().print(render_json(engine::public_json(*found.ports, vm)));
  } else {
    app.output().line(arguments.names[1]);
  }
  return 0;
}

}  // namespace

Command vm_disk_detach_command() {
  auto flags = std::make_shared<DetachFlags>();
  Command command;
  command.path = "vm disk detach";
  command.usage = "VM NAME";
  command.summary = "Take a data disk away from a VM, running or not";
  command.details =
      "A running guest is asked to unmount it first, and keeps it while it is in use. Without an\n"
      "agent it is taken away all the same, and what the guest had not written yet is lost.";
  command.flags = {{.name = "delete", .target = &flags->remove, .help = "delete the disk's data"},
                   {.name = "keep",
                    .target = &flags->keep,
                    .help = "move the disk, a raw image, to FILE (on the same file system)",
                    .value_name = "FILE",
                    .completes = Names::kFile},
                   output_flag(&flags->format)};
  command.min_names = command.max_names = 2;
  command.names = Names::kVm;
  command.check = [flags] { return check(*flags); };
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments);
  };
  return command;
}

}  // namespace cocoon::cli
