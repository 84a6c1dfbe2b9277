// SPDX-License-Identifier: Apache-2.0
#include "integration/cli/cli_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>

#include "base/clock.h"
#include "store/db.h"
#include "store/vm_rows.h"
#include "sys/process.h"

namespace cocoon::cli::test {

void CliTest::SetUp() {
  auto dir = sys::TempDir::create(fs::temp_directory_path(), "cli-");
  ASSERT_TRUE(dir) << dir.error().to_string();
  base_.emplace(std::move(*dir));
}

Words CliTest::store_flags() const {
  return {"--root-dir", root().native(), "--log-dir", log_dir().native()};
}

Words CliTest::argv(const Words& words) const {
  Words out{COCOON_PROGRAM};
  for (const std::string& flag : store_flags()) out.push_back(flag);
  out.insert(out.end(), words.begin(), words.end());
  return out;
}

std::vector<std::string> CliTest::environment_of(const Environment& extra) {
  std::vector<std::string> out = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TZ=UTC"};
  // What the sanitizers need to hear in the child, too.
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) out.push_back(std::string(name) + "=" + value);
  }
  for (const auto& [name, value] : extra) out.push_back(name + "=" + value);
  return out;
}

RunResult CliTest::run(const std::string& program, const Words& words,
                       const Environment& environment, int out_fd) const {
  RunResult result;
  auto out = sys::open_file(base() / "stdout", O_RDWR | O_CREAT | O_TRUNC, 0600);
  auto err = sys::open_file(base() / "stderr", O_RDWR | O_CREAT | O_TRUNC, 0600);
  sys::SpawnSpec spec;
  spec.program = program;
  spec.args = words;
  spec.env = environment_of(environment);
  spec.fds = {{out_fd >= 0 ? out_fd : out->get(), 1}, {err->get(), 2}};
  auto child = sys::spawn(spec);
  if (!child) {
    ADD_FAILURE() << child.error().to_string();
    return result;
  }
  auto status = child->wait(deadline_in(Milliseconds(60'000)));
  if (!status) {
    ADD_FAILURE() << status.error().to_string();
    return result;
  }
  result.code = WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
  result.out = *sys::read_file(base() / "stdout", 1 << 20);
  result.err = *sys::read_file(base() / "stderr", 1 << 20);
  return result;
}

RunResult CliTest::cocoon(const Words& words, const Environment& environment) const {
  Words all = argv(words);
  return run(all[0], {all.begin() + 1, all.end()}, environment);
}

model::Vm CliTest::add_vm(const std::string& id, const std::string& name) const {
  model::Vm vm;
  vm.id = id;
  vm.hypervisor = "qemu";
  vm.state = model::VmState::kCreated;
  vm.config.name = name;
  vm.config.image = "registry.example/team/<base>:1.4";
  vm.config.image_digest = "sha256:" + std::string(64, 'a');
  vm.config.image_type = "oci";
  model::Disk layer;
  layer.path = "layer0.erofs";
  layer.read_only = true;
  layer.serial = "cocoon-layer0";
  layer.role = model::DiskRole::kLayer;
  model::Disk cow;
  cow.path = "cow.raw";
  cow.serial = "cocoon-cow";
  cow.role = model::DiskRole::kCow;
  vm.disks = {layer, cow};
  vm.uid = 1879048192 + static_cast<std::uint32_t>(std::hash<std::string>{}(id) % 1000);
  vm.created_at = vm.updated_at = "2026-03-02T10:15:04.120391000Z";
  store_vm(vm, true);
  return vm;
}

void CliTest::store_vm(const model::Vm& vm, bool is_new) const {
  auto db = store::Db::open(root() / "cocoon.db");
  ASSERT_TRUE(db) << db.error().to_string();
  auto tx = db->begin();
  ASSERT_TRUE(tx) << tx.error().to_string();
  auto written = is_new ? store::insert_vm(*db, vm, {}) : store::update_vm(*db, vm);
  ASSERT_TRUE(written) << written.error().to_string();
  ASSERT_TRUE(tx->commit());
}

std::optional<model::Vm> CliTest::stored_vm(const std::string& id) const {
  auto db = store::Db::open(root() / "cocoon.db");
  if (!db) return std::nullopt;
  auto vm = store::get_vm(*db, id);
  return vm ? *vm : std::nullopt;
}

LiveVm::LiveVm(const fs::path& run_dir, const fs::path& log_dir, model::Vm vm)
    : vm_(std::move(vm)), dir_(run_dir / "qemu" / vm_.id), log_dir_(log_dir / "qemu" / vm_.id) {
  fs::create_directories(dir_);
  fs::create_directories(log_dir_);
  sys::SpawnSpec spec;
  spec.program = "sleep";
  spec.args = {"1000"};
  auto child = sys::spawn(spec);
  EXPECT_TRUE(child) << child.error().to_string();
  vmm_.emplace(std::move(*child));
  vm_.state = model::VmState::kRunning;
  vm_.vmm = {vmm_->pid(), *sys::process_start_time(vmm_->pid()), *sys::host_boot_id()};
  lock_ = *sys::open_file(dir_ / "shim.lock", O_RDWR | O_CREAT, 0600);
  EXPECT_EQ(flock(lock_.get(), LOCK_EX | LOCK_NB), 0);
  listener_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = (dir_ / "shim.sock").native();
  EXPECT_LT(path.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(listener_.get(), 4), 0);
}

sys::UniqueFd LiveVm::accept() {
  auto ready = sys::wait_readable(listener_.get(), 5000);
  if (!ready || !*ready) return {};
  return sys::UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

void LiveVm::end_vmm() { vmm_->kill_now(); }

void LiveVm::end_shim() {
  fs::remove(dir_ / "shim.sock");
  listener_.reset();
  lock_.reset();
}

std::optional<std::string> receive_packet(int socket, int timeout_ms) {
  auto ready = sys::wait_readable(socket, timeout_ms);
  if (!ready || !*ready) return std::nullopt;
  std::string packet(16 * 1024, '\0');
  ssize_t size = recv(socket, packet.data(), packet.size(), 0);
  if (size < 0) return std::nullopt;
  packet.resize(static_cast<std::size_t>(size));
  return packet;
}

void send_packet(int socket, const std::string& packet) {
  EXPECT_EQ(send(socket, packet.data(), packet.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(packet.size()));
}

bool eventually(const std::function<bool()>& condition) {
  Deadline deadline = deadline_in(Milliseconds(5'000));
  while (!condition()) {
    if (time_left(deadline).count() == 0) return false;
    std::this_thread::sleep_for(Milliseconds(5));
  }
  return true;
}

}  // namespace cocoon::cli::test
