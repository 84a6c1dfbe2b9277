// SPDX-License-Identifier: Apache-2.0
#include "guest/power_button.h"

#include <dirent.h>
#include <linux/input.h>
#include <linux/netlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

namespace cocoon::guest {
namespace {

constexpr unsigned kKernelEvents = 1;  // multicast group of NETLINK_KOBJECT_UEVENT
constexpr int kMaxReads = 64;          // per call: a flood must not hold PID 1

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

UniqueFd open_device_events() {
  UniqueFd fd(
      ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kKernelEvents;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return fd;
}

bool has_power_key(int fd) {
  std::array<unsigned char, KEY_MAX / 8 + 1> keys{};
  if (::ioctl(fd, EVIOCGBIT(EV_KEY, keys.size()), keys.data()) < 0) return false;
  return (keys[KEY_POWER / 8] & (1U << (KEY_POWER % 8))) != 0;
}

}  // namespace

PowerButton::PowerButton(std::string input_dir)
    : input_dir_(std::move(input_dir)), events_(open_device_events()) {
  // In this order: a device that appears in between is seen by one of the two.
  scan();
}

std::vector<pollfd> PowerButton::poll_set() const {
  std::vector<pollfd> set;
  if (events_) set.push_back({.fd = events_.get(), .events = POLLIN, .revents = 0});
  for (const Device& device : devices_)
    set.push_back({.fd = device.fd.get(), .events = POLLIN, .revents = 0});
  return set;
}

bool PowerButton::pressed() {
  if (read_device_events()) scan();
  bool pressed = false;
  for (std::size_t i = 0; i < devices_.size();) {
    bool gone = false;
    if (read_keys(devices_[i].fd.get(), gone)) pressed = true;
    if (gone) {
      devices_.erase(devices_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  return pressed;
}

void PowerButton::scan() {
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(input_dir_.c_str()));
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string name = entry->d_name;
    const bool known = std::any_of(devices_.begin(), devices_.end(),
                                   [&](const Device& device) { return device.name == name; });
    if (known || !name.starts_with("event")) continue;
    UniqueFd fd(::openat(::dirfd(dir.get()), name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (fd && has_power_key(fd.get())) devices_.push_back({name, std::move(fd)});
  }
}

bool PowerButton::read_device_events() {
  bool input_changed = false;
  std::array<char, 8192> message;
  for (int i = 0; events_ && i < kMaxReads; ++i) {
    const ssize_t got = ::recv(events_.get(), message.data(), message.size(), 0);
    if (got < 0 && errno == ENOBUFS) {  // some were lost
      input_changed = true;
      continue;
    }
    if (got <= 0) break;
    const std::string_view text(message.data(), static_cast<std::size_t>(got));
    if (text.find("SUBSYSTEM=input") != std::string_view::npos) input_changed = true;
  }
  return input_changed;
}

bool PowerButton::read_keys(int fd, bool& gone) {
  bool pressed = false;
  std::array<input_event, 16> events{};
  for (int i = 0; i < kMaxReads; ++i) {
    const ssize_t got = ::read(fd, events.data(), sizeof events);
    if (got <= 0) {
      gone = got == 0 || (errno != EAGAIN && errno != EINTR);
      break;
    }
    const std::size_t count = static_cast<std::size_t>(got) / sizeof(input_event);
    for (std::size_t event = 0; event < count; ++event)
      pressed |= events[event].type == EV_KEY && events[event].code == KEY_POWER &&
                 events[event].value == 1;
  }
  return pressed;
}

}  // namespace cocoon::guest
