// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/create_flags.h"

#include <algorithm>

#include "base/units.h"
#include "cidata/ssh_keys.h"
#include "model/vm.h"
#include "sys/files.h"

namespace cocoon::cli {
namespace {

constexpr std::string_view kFirecracker = "firecracker";
constexpr std::string_view kQemu = "qemu";

Failure bad_value(std::string_view flag, std::string_view value, std::string_view wanted) {
  return fail(ErrorKind::kInvalid, "invalid value \"{}\" for {}: {}", value, flag, wanted);
}

// Names of Linux accounts: ^[a-z_][a-z0-9_-]{0,31}$, or empty (spec 01 §6.2).
bool is_user_name(std::string_view name) {
  auto lower = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  if (name.empty()) return true;
  return name.size() <= 32 && lower(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
           return lower(c) || (c >= '0' && c <= '9') || c == '-';
         });
}

// The original's forbidden characters, and control characters (spec 01 §24 row 37).
bool is_password(std::string_view text) {
  constexpr std::string_view kForbidden = "`$;|&(){}\\<>!";
  return std::none_of(text.begin(), text.end(), [&](char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f || kForbidden.find(c) != std::string_view::npos;
  });
}

Result<std::int64_t> size_value(std::string_view flag, const std::string& value) {
  auto bytes = parse_size(value);
  if (!bytes) return pass(std::move(bytes).error(), std::string(flag));
  return *bytes;
}

Result<void> check_at_least(std::string_view flag, int value, int least) {
  if (value >= least) return {};
  return bad_value(flag, fmt::format("{}", value), fmt::format("must be at least {}", least));
}

// The values that the original checks, in its order.
Result<void> check_values(const CreateFlags& flags, const engine::CreateRequest& request) {
  if (!request.name.empty()) COCOON_TRY(model::check_vm_name(request.name), "--name");
  COCOON_TRY(check_at_least("--cpu", request.cpu, 1));
  if (request.memory < model::kMinMemory) {
    return bad_value("--memory", flags.memory, "below the minimum of 512MiB");
  }
  if (request.storage && *request.storage < model::kMinStorage) {
    return bad_value("--storage", flags.storage, "below the minimum of 10GB");
  }
  COCOON_TRY(check_at_least("--queue-size", request.queue_size, 0));
  COCOON_TRY(check_at_least("--disk-queue-size", request.disk_queue_size, 0));
  COCOON_TRY(check_at_least("--nics", request.nics.value_or(0), 0));
  if (!is_user_name(request.guest_user)) {
    return bad_value("--user", request.guest_user, "not a user name");
  }
  if (!is_password(request.guest_password)) {
    return fail(ErrorKind::kInvalid,
                "invalid value for --password: control characters and `$;|&(){{}}\\<>! are not "
                "allowed");
  }
  return {};
}

// What excludes each other.
Result<std::string> choose_backend(const CreateFlags& flags) {
  std::vector<std::string_view> chosen;
  if (!flags.backend.empty()) chosen.push_back(flags.backend);
  if (flags.firecracker) chosen.push_back(kFirecracker);
  if (flags.qemu) chosen.push_back(kQemu);
  bool agree = std::all_of(chosen.begin(), chosen.end(),
                           [&](std::string_view name) { return name == chosen.front(); });
  if (!agree) {
    return fail(ErrorKind::kInvalid, "--backend, --fc and --qemu exclude each other: {}",
                fmt::join(chosen, ", "));
  }
  if (flags.firecracker && flags.request.windows) {
    return fail(ErrorKind::kInvalid, "--fc and --windows exclude each other");
  }
  if (!flags.request.network.empty() && !flags.request.bridge.empty()) {
    return fail(ErrorKind::kInvalid, "--network and --bridge exclude each other");
  }
  return chosen.empty() ? std::string() : std::string(chosen.front());
}

// Files that cloud-init in the guest is told of; each bounded, since it must fit on the NoCloud
// disk.
Result<void> read_guest_files(const CreateFlags& flags, engine::CreateRequest& request) {
  constexpr std::size_t kLimit = std::size_t{16} << 20;
  for (const std::string& file : flags.ssh_key_files) {
    std::string text = COCOON_TRY(sys::read_file(file, kLimit), "--ssh-key");
    auto keys = COCOON_TRY(cidata::parse_ssh_keys(text), "--ssh-key {}", file);
    request.ssh_keys.insert(request.ssh_keys.end(), keys.begin(), keys.end());
  }
  if (!flags.user_data_file.empty()) {
    request.user_data = COCOON_TRY(sys::read_file(flags.user_data_file, kLimit), "--user-data");
  }
  return {};
}

std::vector<Flag> machine_flags(CreateFlags& flags) {
  engine::CreateRequest& request = flags.request;
  return {
      {.name = "name",
       .target = &request.name,
       .help = "name of the VM (default: made from the image)",
       .value_name = "NAME"},
      {.name = "cpu", .target = &request.cpu, .help = "virtual CPUs", .value_name = "N"},
      {.name = "memory", .target = &flags.memory, .help = "guest memory", .value_name = "SIZE"},
      {.name = "storage",
       .target = &flags.storage,
       .help = "size of the root disk (default 10G, or a cloud image's own size)",
       .value_name = "SIZE"},
      {.name = "backend",
       .target = &flags.backend,
       .help = "hypervisor; auto: cloud-hypervisor if it and KVM are usable, else qemu",
       .value_name = "NAME",
       .choices = {"auto", "cloud-hypervisor", "firecracker", "qemu"}},
      {.name = "fc", .target = &flags.firecracker, .help = "short for --backend firecracker"},
      {.name = "qemu", .target = &flags.qemu, .help = "short for --backend qemu"},
      {.name = "kernel",
       .target = &request.kernel,
       .help = "kernel for images without one (default: the default kernel)",
       .value_name = "NAME",
       .completes = Names::kKernel},
      {.name = "memory-backing",
       .target = &request.memory_backing,
       .help = "file: guest memory lies in a file on disk",
       .value_name = "KIND",
       .choices = {"file"}},
      {.name = "no-direct-io",
       .target = &request.no_direct_io,
       .help = "use the host's page cache for writable disks"},
      {.name = "queue-size",
       .target = &request.queue_size,
       .help = "ring size of network queues (0: 512)",
       .value_name = "N"},
      {.name = "disk-queue-size",
       .target = &request.disk_queue_size,
       .help = "ring size of disk queues (0: 512)",
       .value_name = "N"},
  };
}

std::vector<Flag> guest_flags(CreateFlags& flags) {
  engine::CreateRequest& request = flags.request;
  return {
      {.name = "env",
       .short_name = 'e',
       .target = &request.env,
       .help = "environment variable KEY=VALUE, or KEY for its value here",
       .value_name = "KEY[=VALUE]"},
      {.name = "workdir",
       .short_name = 'w',
       .target = &request.workdir,
       .help = "working directory of the guest's command",
       .value_name = "DIR"},
      {.name = "",
       .short_name = 'u',
       .target = &request.user,
       .help = "user (and group) that the guest's command runs as",
       .value_name = "USER[:GROUP]"},
      {.name = "entrypoint",
       .target = &request.entrypoint,
       .help = "program that replaces the image's entrypoint",
       .value_name = "PROGRAM"},
      {.name = "init",
       .target = &request.init,
       .help = "run the image's /sbin/init, whatever the image says"},
  };
}

std::vector<Flag> network_flags(CreateFlags& flags) {
  engine::CreateRequest& request = flags.request;
  return {
      {.name = "nics",
       .target = &request.nics,
       .help = "network interfaces (default: 1 where there is a CNI network, else 0)",
       .value_name = "N"},
      {.name = "network",
       .target = &request.network,
       .help = "CNI network (default: the first), or user: no set-up needed, QEMU only",
       .value_name = "NAME"},
      {.name = "bridge",
       .target = &request.bridge,
       .help = "bridge of the host, instead of a CNI network",
       .value_name = "DEVICE"},
      {.name = "publish",
       .short_name = 'p',
       .target = &flags.publish,
       .help = "[IP:]HOST:GUEST[/udp]: a host port that leads to the guest",
       .value_name = "PORTS"},
  };
}

std::vector<Flag> disk_and_cloud_flags(CreateFlags& flags) {
  return {
      data_disk_flag(&flags.data_disks),
      {.name = "user",
       .target = &flags.request.guest_user,
       .help = "account that a cloud image makes",
       .value_name = "NAME"},
      {.name = "password",
       .target = &flags.request.guest_password,
       .help = "password of that account",
       .value_name = "TEXT"},
      {.name = "ssh-key",
       .target = &flags.ssh_key_files,
       .help = "public keys that may log in as that account (authorized_keys)",
       .value_name = "FILE",
       .completes = Names::kFile},
      {.name = "user-data",
       .target = &flags.user_data_file,
       .help = "cloud-init user-data of your own, merged with what cocoon tells the guest",
       .value_name = "FILE",
       .completes = Names::kFile},
      {.name = "agent",
       .target = &flags.agent,
       .help = "install cocoon's agent into a cloud image (the default)"},
      {.name = "no-agent",
       .target = &flags.request.no_agent,
       .help = "do not install cocoon's agent into a cloud image"},
      {.name = "windows", .target = &flags.request.windows, .help = "a Windows guest"},
  };
}

}  // namespace

std::vector<Flag> create_flag_table(CreateFlags& flags) {
  std::vector<Flag> table = machine_flags(flags);
  for (auto* part : {&guest_flags, &disk_and_cloud_flags, &network_flags}) {
    for (Flag& flag : part(flags)) table.push_back(std::move(flag));
  }
  return table;
}

Flag data_disk_flag(std::vector<std::string>* target) {
  return {.name = "data-disk",
          .target = target,
          .help = "a data disk: size=SIZE[,name=,fstype=,mount=,directio=]",
          .value_name = "SPEC"};
}

Result<std::vector<model::DataDiskSpec>> parse_data_disks(const std::vector<std::string>& values) {
  std::vector<model::DataDiskSpec> specs;
  for (const std::string& value : values) {
    specs.push_back(COCOON_TRY(model::parse_data_disk(value), "--data-disk {}", value));
  }
  return specs;
}

Result<engine::CreateRequest> make_request(const CreateFlags& flags, const Arguments& arguments) {
  engine::CreateRequest request = flags.request;
  request.image = arguments.names[0];
  request.command = arguments.command;
  request.no_agent |= !flags.agent;
  request.memory = COCOON_TRY(size_value("--memory", flags.memory));
  if (!flags.storage.empty()) {
    request.storage = COCOON_TRY(size_value("--storage", flags.storage));
  }
  auto disks = COCOON_TRY(parse_data_disks(flags.data_disks));
  request.data_disks = COCOON_TRY(model::complete_data_disks(std::move(disks)), "--data-disk");
  COCOON_TRY(check_values(flags, request));
  request.backend = COCOON_TRY(choose_backend(flags));
  for (const std::string& port : flags.publish) {
    request.ports.push_back(COCOON_TRY(model::parse_publish(port), "--publish"));
  }
  COCOON_TRY(read_guest_files(flags, request));
  return request;
}

}  // namespace cocoon::cli
