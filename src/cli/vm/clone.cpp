// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "base/units.h"
#include "cli/app.h"
#include "cli/batch_report.h"
#include "cli/cocoon_image.h"
#include "cli/json_output.h"
#include "cli/pull_on_demand.h"
#include "cli/vm/create_flags.h"
#include "cli/vm/vm.h"
#include "engine/snapshot_list.h"
#include "engine/vm_clone.h"
#include "engine/vm_view.h"

namespace cocoon::cli {
namespace {

constexpr int kMostClones = 1000;

struct CloneFlags {
  engine::CloneRequest request;
  int count = 1;
  std::optional<std::string> memory;
  std::optional<std::string> storage;
  std::vector<std::string> data_disks;
  std::string mode;
  std::string nic_swap;
  bool on_demand = false;
  bool no_direct_io = false;
  SnapshotDirectory directory;
  OptionalValue pull;
  std::string format;
};

Result<engine::CloneRequest> make_request(const CloneFlags& flags) {
  engine::CloneRequest request = flags.request;
  auto size = [](const char* flag, const std::optional<std::string>& text,
                 std::optional<std::int64_t>& out) -> Result<void> {
    if (text && !text->empty()) out = COCOON_TRY(parse_size(*text), "{}", flag);
    return {};
  };
  COCOON_TRY(size("--memory", flags.memory, request.memory));
  COCOON_TRY(size("--storage", flags.storage, request.storage));
  if (request.cpu && *request.cpu <= 0) request.cpu.reset();  // as the snapshot
  request.data_disks = COCOON_TRY(parse_data_disks(flags.data_disks));
  request.no_direct_io = flags.no_direct_io;
  if (flags.count < 1 || flags.count > kMostClones) {
    return fail(ErrorKind::kInvalid, "--count {}: must be between 1 and {}", flags.count,
                kMostClones);
  }
  if (!flags.mode.empty()) request.mode = COCOON_TRY(vmm::parse_restore_mode(flags.mode));
  if (!flags.nic_swap.empty())
    request.nic_swap = COCOON_TRY(engine::parse_nic_swap(flags.nic_swap));
  if (flags.on_demand) request.mode = vmm::RestoreMode::kOnDemand;
  return request;
}

// Makes one clone of what was asked for: of a snapshot of the store, or of one that is lent.
using MakeClone =
    std::function<Result<model::Vm>(engine::Ports&, const engine::CloneRequest& request)>;

Result<int> clone_one(App& app, engine::Ports& ports, const CloneFlags& flags,
                      const engine::CloneRequest& request, const MakeClone& make) {
  model::Vm vm = COCOON_TRY(make(ports, request));
  if (wants_json(flags.format)) {
    app.output().print(render_json(engine::public_json(ports, vm)));
    return 0;
  }
  app.output().line(vm.id);
  app.output().remark(fmt::format("started vm {} from the snapshot", vm.config.name));
  return 0;
}

// Names of several clones: NAME-1, NAME-2…; without a name each has its own.
Result<int> clone_many(App& app, engine::Ports& ports, const CloneFlags& flags,
                       const engine::CloneRequest& request, const MakeClone& make) {
  std::vector<std::string> numbers;
  std::map<std::string, std::string> made;  // number -> ID; each worker has a place of its own
  for (int i = 1; i <= flags.count; ++i) {
    numbers.push_back(std::to_string(i));
    made[numbers.back()] = {};
  }
  auto result = engine::run_batch(
      ports, numbers, [&](engine::Ports& own, const std::string& number) -> Result<void> {
        engine::CloneRequest one = request;
        if (!one.name.empty()) one.name += "-" + number;
        model::Vm vm = COCOON_TRY(make(own, one), "clone {}", number);
        made.find(number)->second = vm.id;
        return {};
      });
  for (std::string& number : result.succeeded) number = made[number];
  return report_batch(app, result, flags.format);
}

Result<int> make_clones(App& app, engine::Ports& ports, const CloneFlags& flags,
                        const engine::CloneRequest& request, const MakeClone& make) {
  if (flags.count == 1) return clone_one(app, ports, flags, request, make);
  return clone_many(app, ports, flags, request, make);
}

Result<void> check_source(const CloneFlags& flags, const Arguments& arguments) {
  bool from_dir = !flags.directory.path.empty();
  if (from_dir && !arguments.names.empty()) {
    return fail(ErrorKind::kInvalid, "SNAPSHOT and --from-dir exclude each other");
  }
  if (!from_dir && arguments.names.empty()) {
    return fail(ErrorKind::kInvalid, "wanted a SNAPSHOT, or --from-dir DIR");
  }
  bool of_directory =
      !flags.directory.blobs.empty() || flags.directory.assume_same_blobs || flags.directory.trust;
  if (from_dir || !of_directory) return {};
  return fail(ErrorKind::kInvalid, "--blobs, --assume-same-blobs and --trust belong to --from-dir");
}

Result<int> run_from_dir(App& app, const CloneFlags& flags, const SnapshotDirectoryBody& from_dir) {
  engine::CloneRequest request = COCOON_TRY(make_request(flags));
  SnapshotDirectory directory = flags.directory;
  directory.pull = pull_policy(flags.pull, PullPolicy::kNever) != PullPolicy::kNever;
  return from_dir(app, directory,
                  [&](engine::Ports& ports, const model::Snapshot& snapshot) -> Result<int> {
                    return make_clones(app, ports, flags, request,
                                       [&snapshot](engine::Ports& own, const auto& one) {
                                         return engine::clone_snapshot(own, snapshot, one);
                                       });
                  });
}

Result<int> run(App& app, const CloneFlags& flags, const std::string& reference) {
  engine::CloneRequest request = COCOON_TRY(make_request(flags));
  engine::Ports* ports = COCOON_TRY(app.ports());
  model::Snapshot snapshot = COCOON_TRY(engine::inspect_snapshot(*ports, reference));
  const model::VmConfig& saved = snapshot.vm.config;
  COCOON_TRY(ensure_snapshot_image(app, {saved.image, saved.image_digest, saved.image_type},
                                   pull_policy(flags.pull, PullPolicy::kNever)));
  return make_clones(app, *ports, flags, request,
                     [&snapshot](engine::Ports& own, const engine::CloneRequest& one) {
                       return engine::clone_vm(own, snapshot.id, one);
                     });
}

std::vector<Flag> machine_flags(CloneFlags& flags) {
  engine::CloneRequest& request = flags.request;
  return {{.name = "name",
           .target = &request.name,
           .help = "name of the VM (default: cocoon-clone-<ID>); of several: NAME-1, NAME-2…",
           .value_name = "NAME"},
          {.name = "count",
           .short_name = 'n',
           .target = &flags.count,
           .help = "number of clones, made side by side",
           .value_name = "N"},
          {.name = "cpu",
           .target = &request.cpu,
           .help = "virtual CPUs, at least the snapshot's; more are there after the next boot",
           .value_name = "N"},
          {.name = "memory",
           .target = &flags.memory,
           .help = "guest memory, at least the snapshot's; more is there after the next boot",
           .value_name = "SIZE"},
          {.name = "storage",
           .target = &flags.storage,
           .help = "size of the root disk, at least the snapshot's",
           .value_name = "SIZE"},
          data_disk_flag(&flags.data_disks),
          {.name = "drop-disk",
           .target = &request.dropped_disks,
           .help = "a data disk of the snapshot that the clone is to be without",
           .value_name = "NAME"},
          {.name = "memory-backing",
           .target = &request.memory_backing,
           .help = "file: guest memory lies in a file on disk",
           .value_name = "KIND",
           .choices = {"file"}},
          {.name = "no-direct-io",
           .target = &flags.no_direct_io,
           .help = "use the host's page cache for writable disks"}};
}

std::vector<Flag> directory_flags(CloneFlags& flags) {
  return {{.name = "from-dir",
           .target = &flags.directory.path,
           .help = "clone what a directory holds (see `snapshot export --to-dir`)",
           .value_name = "DIR",
           .completes = Names::kDirectory},
          {.name = "blobs",
           .target = &flags.directory.blobs,
           .help = "with --from-dir: where layers and boot files may be that are not here",
           .value_name = "DIR",
           .completes = Names::kDirectory},
          {.name = "assume-same-blobs",
           .target = &flags.directory.assume_same_blobs,
           .help = "with --from-dir: what the original engine saved rests on the same bytes here"},
          {.name = "trust",
           .target = &flags.directory.trust,
           .help = "with --from-dir: load a Firecracker state that was made elsewhere"}};
}

std::vector<Flag> other_flags(CloneFlags& flags) {
  engine::CloneRequest& request = flags.request;
  return {{.name = "nics",
           .target = &request.nics,
           .help = "network interfaces: as many as the snapshot's",
           .value_name = "N"},
          {.name = "network",
           .target = &request.network,
           .help = "CNI network (default: the snapshot's)",
           .value_name = "NAME"},
          {.name = "bridge",
           .target = &request.bridge,
           .help = "bridge of the host instead of a CNI network",
           .value_name = "DEVICE"},
          {.name = "nic-swap",
           .target = &flags.nic_swap,
           .help = "new devices in place of the guest's NICs (default auto: where it has no agent)",
           .value_name = "WHEN",
           .choices = {"auto", "on", "off"}},
          {.name = "restore-mode",
           .target = &flags.mode,
           .help = "how memory comes back (default auto)",
           .value_name = "MODE",
           .choices = {"auto", "copy", "ondemand", "mmap"}},
          {.name = "on-demand",
           .target = &flags.on_demand,
           .help = "short for --restore-mode ondemand"},
          pull_flag(&flags.pull, PullPolicy::kNever),
          output_flag(&flags.format)};
}

}  // namespace

Command vm_clone_command(const SnapshotDirectoryBody& from_dir) {
  auto flags = std::make_shared<CloneFlags>();
  Command command;
  command.path = "vm clone";
  command.usage = "[SNAPSHOT]";
  command.summary = "Make VMs that go on from a snapshot";
  command.details = fmt::format(
      "Each clone has its own name, MACs, addresses and machine id before anybody can reach it.\n\n"
      "With --from-dir no snapshot is taken into the store: the directory is checked as by\n"
      "`snapshot import`, and nothing of it is kept but what the clones are made of.\n\n"
      "{}\n"
      "The clone's guest has it, mounted, in addition to the snapshot's disks. With --drop-disk\n"
      "it gives one of those up first, so that the same NAME may be a fresh disk.",
      kDataDiskDetails);
  command.flags = machine_flags(*flags);
  for (auto* part : {&directory_flags, &other_flags}) {
    for (Flag& flag : part(*flags)) command.flags.push_back(std::move(flag));
  }
  command.max_names = 1;
  command.names = Names::kSnapshot;
  command.run = [flags, from_dir](App& app, const Arguments& arguments) -> Result<int> {
    COCOON_TRY(check_source(*flags, arguments));
    if (!flags->directory.path.empty()) {
      return from_dir ? run_from_dir(app, *flags, from_dir) : exec_cocoon_image(app.words());
    }
    return run(app, *flags, arguments.names[0]);
  };
  return command;
}

}  // namespace cocoon::cli
