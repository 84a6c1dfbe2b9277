// SPDX-License-Identifier: Apache-2.0
#include "vmm/accel.h"

#include <sys/stat.h>
#include <unistd.h>

#include "sys/kvm_probe.h"
#include "sys/process.h"
#include "vmm/fact_file.h"

namespace cocoon::vmm {
namespace {

constexpr std::string_view kUsable = "usable";
constexpr const char* kFactFile = "kvm-probe";
// A busy host can make a good KVM miss the probe's deadline. Who demands KVM has reasons to think
// that it works, so it is measured again before it is refused.
constexpr int kDemandedTries = 4;

struct Device {
  struct stat info {};
  std::vector<gid_t> groups;
};

// The group that opens the device to a VMM. Never group 0: being in root's group opens more than
// one device.
Device look_at(const std::filesystem::path& path) {
  Device device;
  if (stat(path.c_str(), &device.info) != 0) return device;
  constexpr mode_t kGroupBits = S_IRGRP | S_IWGRP;
  constexpr mode_t kOtherBits = S_IROTH | S_IWOTH;
  bool open_to_group = (device.info.st_mode & kGroupBits) == kGroupBits;
  bool open_to_all = (device.info.st_mode & kOtherBits) == kOtherBits;
  if (open_to_group && !open_to_all && device.info.st_gid != 0) {
    device.groups.push_back(device.info.st_gid);
  }
  return device;
}

// What the answer depends on: this boot, the device and its rights, and whether we probe as root.
Result<std::string> circumstances(const AccelRequest& request, const Device& device) {
  std::string boot = COCOON_TRY(sys::host_boot_id());
  const struct stat& info = device.info;
  return fmt::format("kvm-probe 1 boot={} device={} inode={} rdev={} mode={:o} owner={}:{} root={}",
                     boot, request.device.native(), info.st_ino, info.st_rdev, info.st_mode,
                     info.st_uid, info.st_gid, request.uid == 0);
}

Result<std::string> measure(const AccelRequest& request, const Device& device) {
  if (device.info.st_nlink == 0) {
    return fmt::format("there is no {}", request.device.native());
  }
  sys::KvmProbeRequest probe;
  probe.device = request.device;
  if (geteuid() == 0 && request.uid != 0) {
    probe.user = sys::ProbeUser{request.uid, request.uid, device.groups};
  }
  sys::KvmProbe answer = COCOON_TRY(sys::probe_kvm(probe));
  return answer.usable ? std::string(kUsable) : answer.reason;
}

struct Answer {
  std::string text;  // kUsable, or why not
  bool fresh = false;
};

Result<Answer> ask(const AccelRequest& request, const Device& device, bool trust_cached_refusal) {
  std::string key = COCOON_TRY(circumstances(request, device));
  auto path = request.run_dir / kFactFile;
  auto known = read_fact(path, key);
  if (known && (*known == kUsable || trust_cached_refusal)) return Answer{std::move(*known), false};
  std::string text = COCOON_TRY(measure(request, device));
  write_fact(path, key, text);
  return Answer{std::move(text), true};
}

}  // namespace

std::string_view accel_name(Accel accel) {
  switch (accel) {
    case Accel::kKvm:
      return "kvm";
    case Accel::kTcg:
      return "tcg";
  }
  return "tcg";
}

Result<Accel> parse_accel(std::string_view text) {
  if (text == "kvm") return Accel::kKvm;
  if (text == "tcg") return Accel::kTcg;
  return fail(ErrorKind::kInvalid, "acceleration \"{}\" is neither kvm nor tcg", text);
}

Result<AccelChoice> choose_accel(const AccelRequest& request) {
  bool demanded = false;
  if (!request.override_text.empty()) {
    Accel wanted = COCOON_TRY(parse_accel(request.override_text), "read COCOON_ACCEL");
    if (wanted == Accel::kTcg) return AccelChoice{};
    demanded = true;
  }
  Device device = look_at(request.device);
  Answer answer = COCOON_TRY(ask(request, device, !demanded), "find out whether KVM is usable");
  for (int tries = 1; demanded && answer.text != kUsable && tries < kDemandedTries; ++tries) {
    answer = COCOON_TRY(ask(request, device, false), "find out whether KVM is usable");
  }
  if (answer.text == kUsable) {
    return AccelChoice{Accel::kKvm, std::move(device.groups), "", answer.fresh, ""};
  }
  if (demanded) {
    return fail(ErrorKind::kUnsupported, "COCOON_ACCEL=kvm, but KVM is not usable: {}",
                answer.text);
  }
  return AccelChoice{
      Accel::kTcg,
      {},
      fmt::format("KVM is not usable here ({}); guests run under software emulation, "
                  "which is many times slower",
                  answer.text),
      answer.fresh,
      fmt::format("KVM is not usable here ({})", answer.text)};
}

}  // namespace cocoon::vmm
