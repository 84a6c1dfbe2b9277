// SPDX-License-Identifier: Apache-2.0
#include "vmm/firecracker/host.h"

#include <elf.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstring>

#include "base/text.h"
#include "sys/fd.h"
#include "sys/files.h"

namespace cocoon::vmm::firecracker {
namespace {

// A container's seccomp filter may forbid it, too.
bool io_uring_answers() {
  io_uring_params params{};
  long fd = syscall(SYS_io_uring_setup, 4U, &params);
  if (fd < 0) return false;
  sys::UniqueFd ring(static_cast<int>(fd));
  return true;
}

// Empty when it cannot be read: the launch will say why.
std::string read_head(const std::string& program) {
  std::string head(4096, '\0');
  auto fd = sys::open_file(program, O_RDONLY);
  ssize_t got = fd ? pread(fd->get(), head.data(), head.size(), 0) : 0;
  head.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return head;
}

}  // namespace

bool allows_io_uring(std::string_view release, std::string_view disabled) {
  // 1: only for the privileged, 2: for nobody.
  if (std::string_view state = trim(disabled); !state.empty() && state != "0") return false;
  auto parts = split(release, '.');
  auto major = parts.empty() ? std::nullopt : parse_decimal(parts[0]);
  auto minor =
      parts.size() < 2 ? std::nullopt : parse_decimal(parts[1].substr(0, parts[1].find('-')));
  if (!major || !minor) return false;
  // Before 5.12 the rings count as locked memory, of which an unprivileged process has 64 KiB.
  return *major > 5 || (*major == 5 && *minor >= 12);
}

bool needs_loader(std::string_view head) {
  Elf64_Ehdr file{};
  if (!head.starts_with(ELFMAG) || head.size() < sizeof file) return false;
  std::memcpy(&file, head.data(), sizeof file);
  Elf64_Phdr part{};
  bool known = file.e_ident[EI_CLASS] == ELFCLASS64 && file.e_phentsize == sizeof part;
  if (!known || file.e_phoff > head.size()) return false;
  head.remove_prefix(file.e_phoff);
  for (unsigned left = file.e_phnum; left > 0 && head.size() >= sizeof part; --left) {
    std::memcpy(&part, head.data(), sizeof part);
    if (part.p_type == PT_INTERP) return true;
    head.remove_prefix(sizeof part);
  }
  return false;
}

HostFacts look_at_host(const std::string& program) {
  HostFacts facts;
  facts.needs_loader = needs_loader(read_head(program));
  utsname names{};
  if (uname(&names) != 0) return facts;
  auto disabled = sys::read_file("/proc/sys/kernel/io_uring_disabled", 64);
  facts.async_io = allows_io_uring(names.release, disabled ? *disabled : "") && io_uring_answers();
  return facts;
}

}  // namespace cocoon::vmm::firecracker
