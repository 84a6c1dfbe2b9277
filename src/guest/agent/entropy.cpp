// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/entropy.h"

#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "guest/fd.h"
#include "guest/root_dir.h"

namespace cocoon::guest {
namespace {

constexpr const char* kMachineId = "/etc/machine-id";
constexpr const char* kDbusCopy = "/var/lib/dbus/machine-id";
constexpr const char* kStoredSeed = "/var/lib/systemd/random-seed";
constexpr std::size_t kIdDigits = 32;

/// struct rand_pool_info with room for its data.
struct Pool {
  int entropy_count = 0;
  int buf_size = 0;
  std::array<char, kMaxEntropy> bytes{};
};
static_assert(offsetof(Pool, bytes) == sizeof(rand_pool_info));

bool is_id(const std::string& id) {
  return id.size() == kIdDigits && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

Result<void> add_entropy(std::string_view bytes) {
  const UniqueFd device(::open("/dev/urandom", O_RDONLY | O_CLOEXEC));
  if (!device) return fail_errno("/dev/urandom");
  Pool pool;
  const std::size_t size = std::min(bytes.size(), kMaxEntropy);
  std::memcpy(pool.bytes.data(), bytes.data(), size);
  pool.buf_size = static_cast<int>(size);
  pool.entropy_count = static_cast<int>(size * 8);
  if (size > 0 && ::ioctl(device.get(), RNDADDENTROPY, &pool) != 0)
    return fail_errno("entropy", "RNDADDENTROPY");
  if (::ioctl(device.get(), RNDRESEEDCRNG) != 0) return fail_errno("entropy", "RNDRESEEDCRNG");
  return {};
}

Result<void> forget_stored_seed() {
  if (::unlink(kStoredSeed) != 0 && errno != ENOENT && errno != ENOTDIR)
    return fail_errno(kStoredSeed, "unlink");
  return {};
}

Result<void> renew_machine_id() {
  std::array<unsigned char, kIdDigits / 2> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail_errno("machine id", "getrandom");
  std::string id;
  for (const unsigned char byte : bytes) {
    id += "0123456789abcdef"[byte >> 4];
    id += "0123456789abcdef"[byte & 0xf];
  }
  return set_machine_id(id);
}

Result<void> set_machine_id(const std::string& id) {
  if (!is_id(id)) return fail("machine id", "not 32 hex digits");
  const RootDir root = COCOON_GUEST_TRY(RootDir::open("/"));
  if (!root.open_at(kMachineId, O_PATH | O_NOFOLLOW)) return {};
  COCOON_GUEST_TRY(root.replace_file(kMachineId, id + "\n", 0444));
  struct stat info {};
  if (::lstat(kDbusCopy, &info) == 0 && S_ISREG(info.st_mode) && ::unlink(kDbusCopy) != 0)
    return fail_errno(kDbusCopy, "unlink");
  return {};
}

}  // namespace cocoon::guest
