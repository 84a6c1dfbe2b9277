// SPDX-License-Identifier: Apache-2.0
#include "engine/memory_chain.h"

#include <sys/stat.h>

#include <algorithm>

#include "disk/file_copy.h"
#include "engine/snapshot_files.h"
#include "engine/snapshot_list.h"
#include "engine/vm_files.h"
#include "store/snapshot_rows.h"
#include "sys/fault.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWholeSuffix = ".whole";

// The snapshot and those that it rests on, newest first.
Result<std::vector<model::Snapshot>> links_of(Ports& ports, const model::Snapshot& snapshot) {
  std::vector<model::Snapshot> links{snapshot};
  while (!links.back().parent.empty()) {
    const std::string& id = links.back().parent;
    if (links.size() > kMaxChain) {
      return fail(ErrorKind::kCorrupt, "snapshot {} rests on more than {} others", snapshot.id,
                  kMaxChain);
    }
    auto parent = COCOON_TRY(store::get_snapshot(ports.db, id));
    if (!parent || parent->state != model::SnapshotState::kReady) {
      return fail(ErrorKind::kCorrupt, "snapshot {}, which holds the rest of its memory, is gone",
                  id);
    }
    links.push_back(std::move(*parent));
  }
  return links;
}

Result<sys::UniqueFd> open_link(const Ports& ports, const model::Snapshot& snapshot,
                                const std::string& member, std::int64_t size) {
  sys::UniqueFd fd = COCOON_TRY(
      sys::open_file(snapshot_dir(ports, snapshot.id) / member, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
      "snapshot {}", snapshot.id);
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return fail_errno(fmt::format("look at member {}", member));
  if (S_ISREG(info.st_mode) && info.st_size == size) return fd;
  return fail(ErrorKind::kCorrupt, "snapshot {}: member {} has {} bytes instead of {}", snapshot.id,
              member, info.st_size, size);
}

// What a VMM writes is all of the guest's memory; a file of it is as memory_files() has it: below
// the VM's directory, or on a tmpfs.
Result<std::int64_t> memory_bytes(const Ports& ports, const model::Vm& vm, bool written_by_vmm) {
  if (written_by_vmm) return vm.config.memory;
  fs::path file = COCOON_TRY(memory_files(ports, vm))[0];
  struct stat info {};
  if (lstat(file.c_str(), &info) != 0) return fail_errno("look at the guest's memory");
  return static_cast<std::int64_t>(info.st_size);
}

Result<model::Snapshot> newest_of(Ports& ports, const model::Vm& vm) {
  auto own = COCOON_TRY(list_snapshots(ports, vm.id));
  std::erase_if(own, [](const model::Snapshot& snapshot) { return snapshot.hibernated; });
  if (!own.empty()) return std::move(own.back());
  return fail(ErrorKind::kNotFound,
              "there is no snapshot of it yet that this one could build on: name another one, or "
              "save a whole one first");
}

}  // namespace

Result<MemoryChain> MemoryChain::open(Ports& ports, const model::Snapshot& snapshot,
                                      const std::string& member) {
  auto links = COCOON_TRY(links_of(ports, snapshot));
  MemoryChain chain;
  for (auto link = links.rbegin(); link != links.rend(); ++link) {
    const model::Member* memory = model::find_member(*link, member);
    if (memory == nullptr) {
      return fail(ErrorKind::kCorrupt, "{} is not among the members of snapshot {}", member,
                  link->id);
    }
    if (chain.files_.empty()) chain.bytes_ = memory->size;
    std::int64_t size = chain.files_.empty() ? chain.bytes_ : disk::delta_size(chain.bytes_);
    chain.files_.push_back(COCOON_TRY(open_link(ports, *link, member, size)));
  }
  return chain;
}

disk::PageStack MemoryChain::stack() const {
  disk::PageStack stack{files_.front().get(), {}};
  for (std::size_t i = 1; i < files_.size(); ++i) stack.deltas.push_back(files_[i].get());
  return stack;
}

Result<void> MemoryChain::copy_to(int to) const {
  disk::PageStack files = stack();
  COCOON_TRY(disk::copy_file(files.base, to));
  for (int delta : files.deltas) COCOON_TRY(disk::apply_delta(delta, bytes_, to));
  return {};
}

Result<model::Snapshot> choose_parent(Ports& ports, const model::Vm& vm,
                                      const std::string& reference, const vmm::SavedFiles& files) {
  model::Snapshot parent = reference.empty() ? COCOON_TRY(newest_of(ports, vm))
                                             : COCOON_TRY(inspect_snapshot(ports, reference));
  if (parent.hibernated) {
    return fail(ErrorKind::kInvalid, "snapshot {} goes when the VM that sleeps in it wakes",
                parent.id);
  }
  if (parent.vm.hypervisor != vm.hypervisor) {
    return fail(ErrorKind::kInvalid, "snapshot {} is of {}, the VM runs on {}", parent.id,
                parent.vm.hypervisor, vm.hypervisor);
  }
  if (model::find_member(parent, files.memory) == nullptr) {
    return fail(ErrorKind::kInvalid,
                "snapshot {} was taken of a VM with another memory backing: it has no member {}",
                parent.id, files.memory);
  }
  MemoryChain chain = COCOON_TRY(MemoryChain::open(ports, parent, files.memory));
  std::int64_t bytes = COCOON_TRY(memory_bytes(ports, vm, files.memory_by_vmm));
  if (chain.bytes() != bytes) {
    return fail(ErrorKind::kInvalid, "the memory in snapshot {} has {} bytes, the VM's {}",
                parent.id, chain.bytes(), bytes);
  }
  if (chain.length() < kMaxChain) return parent;
  return fail(ErrorKind::kInvalid,
              "snapshot {} is the last of {} that rest on one another: save "
              "a whole one",
              parent.id, kMaxChain);
}

Result<void> thin_memory(Ports& ports, const model::Snapshot& snapshot, const std::string& member) {
  fs::path part = snapshot_part(ports, snapshot.id);
  fs::path whole = part / (member + kWholeSuffix);
  auto parent = COCOON_TRY(store::get_snapshot(ports.db, snapshot.parent));
  if (!parent) return fail(ErrorKind::kInternal, "snapshot {} is gone", snapshot.parent);
  MemoryChain chain = COCOON_TRY(MemoryChain::open(ports, *parent, member));
  COCOON_TRY(sys::rename_path(part / member, whole));
  sys::UniqueFd from = COCOON_TRY(sys::open_file(whole, O_RDONLY | O_NOFOLLOW));
  struct stat info {};
  if (fstat(from.get(), &info) != 0) return fail_errno("look at the saved memory");
  if (info.st_size != chain.bytes()) {
    return fail(ErrorKind::kCorrupt, "the saved memory has {} bytes instead of {}", info.st_size,
                chain.bytes());
  }
  sys::UniqueFd to = COCOON_TRY(create_member(part, member));
  COCOON_TRY(disk::write_delta(chain.stack(), from.get(), chain.bytes(), to.get()));
  COCOON_TRY(sys::remove_file(whole));
  sys::side_effect("leave out unchanged memory");
  return {};
}

}  // namespace cocoon::engine
