// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_cp.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "agent/transfer.h"
#include "engine/agent_access.h"
#include "tree_copy/extract.h"
#include "tree_copy/pack.h"

namespace cocoon::engine {
namespace {

// A session of that kind, its first frame queued.
Result<agent::Session> begin(Ports& ports, const model::Vm& vm, std::string_view kind,
                             const std::string& path, bool follow, bool directory) {
  agent::Session session = COCOON_TRY(open_agent(ports, vm, kAgentWait));
  agent_wire::Frame frame;
  frame.type = kind;
  frame.path = path;
  frame.follow = follow;
  frame.directory = directory;
  session.send(frame);
  return session;
}

agent::Transfer::Remark guest_remark(Ports& ports, const model::Vm& vm) {
  return [&ports, name = vm.config.name](std::string_view line) {
    ports.note(fmt::format("{}:{}", name, line));
  };
}

// Both sides have to have done their part; the guest's reason tells more.
Result<void> both(const Result<void>& guest, bool host_good, std::string_view what) {
  if (!guest && guest.error().kind != ErrorKind::kVmm) return guest;
  if (!host_good) return fail(ErrorKind::kSystem, "{}: not everything was copied", what);
  return guest;
}

}  // namespace

Result<void> copy_in(Ports& ports, const model::Vm& vm, const CopyRequest& request) {
  // Said before the guest makes anything.
  bool follow = request.follow || request.from.ends_with('/');
  if (faccessat(AT_FDCWD, request.from.c_str(), F_OK, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
    return fail(ErrorKind::kNotFound, "{}: no such file or directory", request.from);
  }
  auto session =
      COCOON_TRY(begin(ports, vm, agent_wire::type::kTarWrite, request.to, false, false), "copy");
  agent::Transfer transfer(session, guest_remark(ports, vm));
  bool packed = tree_copy::pack_tree({request.from, request.follow}, transfer,
                                     [&ports](std::string_view line) { ports.note(line); });
  return both(transfer.finish(), packed, request.from);
}

Result<void> copy_out(Ports& ports, const model::Vm& vm, const CopyRequest& request) {
  auto session = COCOON_TRY(
      begin(ports, vm, agent_wire::type::kTarRead, request.from, request.follow, false), "copy");
  agent::Transfer transfer(session, guest_remark(ports, vm));
  tree_copy::ExtractRequest extract;
  extract.destination = request.to;
  extract.confined = true;
  // The guest has no say in what is replaced where the thing is put under its own name.
  extract.top = tree_copy::top_name(request.from);
  if (extract.top == ".") extract.top.clear();
  std::size_t remarks = 0;
  bool extracted =
      tree_copy::extract_tree(extract, transfer, [&ports, &remarks](std::string_view line) {
        constexpr std::size_t kMaxRemarks = 1000;
        if (++remarks <= kMaxRemarks) ports.note(line);
      });
  return both(transfer.finish(), extracted, request.to);
}

Result<void> copy_stream_in(Ports& ports, const model::Vm& vm, int fd,
                            const std::string& directory) {
  auto session =
      COCOON_TRY(begin(ports, vm, agent_wire::type::kTarWrite, directory, false, true), "copy");
  agent::Transfer transfer(session, guest_remark(ports, vm));
  std::string bytes(std::size_t{64} << 10, '\0');
  while (transfer.wait_for(fd)) {
    ssize_t got = read(fd, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read the archive");
    if (got == 0 || !transfer.write({bytes.data(), static_cast<std::size_t>(got)})) break;
  }
  return transfer.finish();
}

Result<void> copy_stream_out(Ports& ports, const model::Vm& vm, const std::string& from,
                             bool follow, tree_copy::ByteSink& sink) {
  auto session =
      COCOON_TRY(begin(ports, vm, agent_wire::type::kTarRead, from, follow, false), "copy");
  agent::Transfer transfer(session, guest_remark(ports, vm));
  std::string bytes(std::size_t{64} << 10, '\0');
  while (std::size_t got = transfer.read_some(bytes.data(), bytes.size())) {
    if (!sink.write(std::string_view(bytes).substr(0, got))) {
      return fail(ErrorKind::kSystem, "the archive cannot be written");
    }
  }
  return transfer.finish();
}

}  // namespace cocoon::engine
