// SPDX-License-Identifier: Apache-2.0
#include "guest/dhcp.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>

#include "guest/dhcp_message.h"
#include "guest/network.h"

namespace cocoon::guest {
namespace {

using namespace std::chrono_literals;
using Mac = std::array<std::uint8_t, 6>;

constexpr std::uint16_t kServerPort = 67;
constexpr std::uint16_t kClientPort = 68;
constexpr auto kFirstWait = 1000ms;
constexpr auto kLongestWait = 16000ms;
constexpr std::uint32_t kShortestLease = 60;
constexpr std::uint32_t kLongestLease = 24 * 3600;  // looked after at least daily
constexpr std::size_t kMaxPacket = 1500;
constexpr const char* kProcessName = "cocoon-dhcp";  // as /proc/*/comm has it
constexpr int kRenewSignal = SIGHUP;

volatile sig_atomic_t asked_to_renew = 0;

/// As pause_for, but not when the lease is to be given up.
void wait_for_renewal(std::chrono::milliseconds limit) {
  const Deadline deadline(limit);
  while (!deadline.passed() && asked_to_renew == 0)
    (void)::poll(nullptr, 0,
                 static_cast<int>(std::min<std::int64_t>(deadline.left().count(), 1000)));
}

Mac parse_mac(const std::string& text) {
  Mac mac{};
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const auto digit = [&](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    mac[i] = static_cast<std::uint8_t>(digit(text[3 * i]) << 4 | digit(text[3 * i + 1]));
  }
  return mac;
}

std::string text_of(std::uint32_t address) {
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address, text, sizeof text);
  return text;
}

UniqueFd open_socket(const std::string& interface) {
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_port = htons(kClientPort);
  const bool good = fd && ::setsockopt(fd.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on) == 0 &&
                    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                    ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                                 static_cast<socklen_t>(interface.size())) == 0 &&
                    ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) == 0;
  if (!good) fd.reset();
  return fd;
}

class Client {
 public:
  Client(std::string interface, const std::string& mac, std::string hostname, unsigned metric,
         UniqueFd report)
      : interface_(std::move(interface)),
        mac_(parse_mac(mac)),
        hostname_(std::move(hostname)),
        metric_(metric),
        report_(std::move(report)) {}

  [[noreturn]] void run() {
    while (true) {
      const DhcpReply lease = acquire();
      apply(lease);
      tell(lease);
      keep(lease);
      (void)clear_address(interface_);
      look_who_we_are();
    }
  }

 private:
  /// A clone's interface has another MAC than the one that it was saved with.
  void look_who_we_are() {
    asked_to_renew = 0;
    const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    interface_.copy(request.ifr_name, IFNAMSIZ - 1);
    if (control && ::ioctl(control.get(), SIOCGIFHWADDR, &request) == 0)
      std::memcpy(mac_.data(), request.ifr_hwaddr.sa_data, mac_.size());
    utsname names{};
    if (::uname(&names) == 0) hostname_ = names.nodename;
  }

  /// One question, until its answer or the time-out.
  std::optional<DhcpReply> ask(DhcpQuery query, std::uint32_t to, std::chrono::milliseconds limit) {
    const UniqueFd socket = open_socket(interface_);
    if (!socket) {
      pause_for(limit);
      return std::nullopt;
    }
    // Too early for good randomness the number is a poor one, which only serves to tell replies
    // apart.
    if (::getrandom(&query.transaction, sizeof query.transaction, GRND_NONBLOCK) < 0)
      query.transaction = static_cast<std::uint32_t>(::time(nullptr));
    query.mac = mac_;
    query.hostname = hostname_;
    const std::string packet = render_dhcp(query);
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(kServerPort);
    server.sin_addr.s_addr = to;
    // A lost question is asked again.
    (void)!::sendto(socket.get(), packet.data(), packet.size(), 0,
                    reinterpret_cast<const sockaddr*>(&server), sizeof server);
    const Deadline deadline(limit);
    while (!deadline.passed() && asked_to_renew == 0) {
      pollfd entry{socket.get(), POLLIN, 0};
      if (::poll(&entry, 1, static_cast<int>(deadline.left().count())) <= 0) continue;
      char buffer[kMaxPacket];
      const ssize_t got = ::recv(socket.get(), buffer, sizeof buffer, 0);
      if (got <= 0) continue;
      auto reply = parse_dhcp({buffer, static_cast<std::size_t>(got)}, query.transaction, mac_);
      if (reply) return reply;
    }
    return std::nullopt;
  }

  /// Asks until somebody gives a lease.
  DhcpReply acquire() {
    for (auto wait = kFirstWait;; wait = std::min(2 * wait, kLongestWait)) {
      if (asked_to_renew != 0) {
        look_who_we_are();
        wait = kFirstWait;
      }
      const auto offer = ask({}, INADDR_BROADCAST, wait);
      if (!offer || offer->type != DhcpType::kOffer) continue;
      DhcpQuery request;
      request.type = DhcpType::kRequest;
      request.requested = offer->address;
      request.server = offer->server;
      auto answer = ask(request, INADDR_BROADCAST, wait);
      if (answer && answer->type == DhcpType::kAck && answer->address != 0) return *answer;
    }
  }

  /// Renews at half of the lease's time; returns when it is lost.
  void keep(DhcpReply lease) {
    while (true) {
      const auto seconds = std::clamp(lease.lease_seconds, kShortestLease, kLongestLease);
      wait_for_renewal(std::chrono::seconds(seconds / 2));
      auto again = renew(lease, std::chrono::seconds(seconds / 2));
      if (!again) return;
      lease = *again;
    }
  }

  std::optional<DhcpReply> renew(const DhcpReply& lease, std::chrono::seconds left) {
    const Deadline deadline(left);
    DhcpQuery query;
    query.type = DhcpType::kRequest;
    query.client = lease.address;
    query.broadcast = false;
    while (!deadline.passed() && asked_to_renew == 0) {
      auto answer = ask(query, lease.server, kLongestWait);
      if (answer && answer->type == DhcpType::kNak) return std::nullopt;
      if (answer && answer->type == DhcpType::kAck) return answer;
    }
    return std::nullopt;
  }

  void apply(const DhcpReply& lease) {
    InterfaceSettings settings;
    settings.name = interface_;
    settings.address = text_of(lease.address);
    settings.prefix = static_cast<unsigned>(std::popcount(lease.netmask));
    if (lease.gateway != 0) settings.gateway = text_of(lease.gateway);
    settings.mtu = lease.mtu;
    settings.metric = metric_;
    (void)apply_settings(settings);
  }

  /// One line of name servers, once.
  void tell(const DhcpReply& lease) {
    if (!report_) return;
    std::string line;
    for (const std::uint32_t server : lease.dns) line += text_of(server) + " ";
    (void)write_all(report_.get(), line + "\n");
    report_.reset();
  }

  std::string interface_;
  Mac mac_;
  std::string hostname_;
  unsigned metric_;
  UniqueFd report_;
};

/// Nothing of PID 1 stays with the process but the pipe: no handlers, no blocked signals (it has to
/// end when it is told to), no descriptors that would hold file systems.
void become_keeper(UniqueFd& pipe) {
  ::prctl(PR_SET_NAME, kProcessName);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(kRenewSignal, [](int) { asked_to_renew = 1; });
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  constexpr int kPipeFd = 3;
  if (pipe.get() != kPipeFd) {
    ::dup3(pipe.get(), kPipeFd, O_CLOEXEC);
    (void)pipe.release();
    pipe = UniqueFd(kPipeFd);
  }
  ::syscall(SYS_close_range, kPipeFd + 1, ~0U, 0);
}

}  // namespace

Result<LeaseKeeper> LeaseKeeper::start(const std::string& interface, const std::string& mac,
                                       const std::string& hostname, unsigned metric) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(interface, "pipe");
  UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(interface, "fork");
  if (pid == 0) {
    become_keeper(writing);
    Client(interface, mac, hostname, metric, std::move(writing)).run();
  }
  return LeaseKeeper(interface, std::move(reading));
}

Result<Lease> LeaseKeeper::first_lease(const Deadline& deadline) {
  std::string line;
  while (!line.ends_with('\n')) {
    pollfd entry{report_.get(), POLLIN, 0};
    if (::poll(&entry, 1, static_cast<int>(deadline.left().count())) <= 0)
      return fail(interface_, "no DHCP server has answered yet");
    char buffer[256];
    const ssize_t got = ::read(report_.get(), buffer, sizeof buffer);
    if (got <= 0) return fail(interface_, "the DHCP client ended");
    line.append(buffer, static_cast<std::size_t>(got));
  }
  Lease lease;
  for (std::size_t at = 0, end; (end = line.find(' ', at)) != std::string::npos; at = end + 1)
    lease.dns.push_back(line.substr(at, end - at));
  return lease;
}

void renew_leases() {
  DIR* processes = ::opendir("/proc");
  if (processes == nullptr) return;
  while (const dirent* entry = ::readdir(processes)) {
    const std::string pid = entry->d_name;
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto comm = read_file(("/proc/" + pid + "/comm").c_str(), 64);
    // By its name alone anybody's process could be one; ours is a child of PID 1 and root's.
    struct stat info {};
    const bool ours = comm && *comm == std::string(kProcessName) + "\n" &&
                      ::stat(("/proc/" + pid).c_str(), &info) == 0 && info.st_uid == 0;
    if (ours) ::kill(static_cast<pid_t>(std::strtol(pid.c_str(), nullptr, 10)), kRenewSignal);
  }
  ::closedir(processes);
}

}  // namespace cocoon::guest
