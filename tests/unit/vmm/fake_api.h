// SPDX-License-Identifier: Apache-2.0
// A VMM's API socket, served by this very process: one script per connection, the last one for all
// that follow. What a test tells it is what the backends see of a VMM.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "sys/files.h"
#include "unit/http_peer.h"
#include "vmm/running_vmm.h"

namespace cocoon::vmm::test {

using Script = std::function<void(cocoon::test::HttpPeer&)>;

class FakeApi {
 public:
  // Listens at `name` below the VM directory.
  FakeApi(std::string name, std::vector<Script> scripts) : scripts_(std::move(scripts)) {
    auto dir = sys::TempDir::create(std::filesystem::temp_directory_path(), "api-");
    EXPECT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    EXPECT_TRUE(sys::make_dirs(dir_->path() / "sock", 0700));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string path = dir_->path() / name;
    EXPECT_LT(path.size(), sizeof address.sun_path);
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    dir_fd_ = *sys::open_dir(dir_->path());
    handle_ = **sys::LiveProcess::open(sys::self_process());
    server_ = std::thread([this] { serve(); });
  }
  FakeApi(const FakeApi&) = delete;
  FakeApi& operator=(const FakeApi&) = delete;
  ~FakeApi() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    server_.join();
  }

  // This process, as the VMM.
  RunningVmm vmm() const {
    RunningVmm vmm;
    vmm.vm_dir = dir_fd_.get();
    vmm.process = sys::self_process();
    vmm.handle = &*handle_;
    vmm.log = log();
    return vmm;
  }
  std::filesystem::path log() const { return dir_->path() / "vmm.log"; }
  int connections() const { return connections_; }

 private:
  void serve() {
    while (true) {
      int accepted = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) return;
      cocoon::test::HttpPeer peer{sys::UniqueFd(accepted)};
      auto number = static_cast<std::size_t>(connections_++);
      scripts_[std::min(number, scripts_.size() - 1)](peer);
    }
  }

  std::vector<Script> scripts_;
  std::optional<sys::TempDir> dir_;
  sys::UniqueFd listener_, dir_fd_;
  std::optional<sys::LiveProcess> handle_;
  std::atomic<int> connections_ = 0;
  std::thread server_;
};

}  // namespace cocoon::vmm::test
