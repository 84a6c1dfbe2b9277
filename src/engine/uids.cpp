// SPDX-License-Identifier: Apache-2.0
#include "engine/uids.h"

#include <unistd.h>

#include <cerrno>
#include <functional>

#include "base/id.h"
#include "base/text.h"
#include "store/vm_rows.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

fs::path claim_path(std::uint32_t uid) { return fs::path(kUidClaims) / std::to_string(uid); }

// "<install id> <vm id>". A claim is a symbolic link with this text as its target: made in one step
// and exclusively, so a killed command never leaves a claim without an owner.
Result<std::string> claim_text(const Ports& ports, const std::string& vm_id) {
  return fmt::format("{} {}", COCOON_TRY(install_id(ports.db)), vm_id);
}

// The owner of a claim; empty when there is none.
std::string claim_owner(std::uint32_t uid) {
  std::error_code error;
  fs::path target = fs::read_symlink(claim_path(uid), error);
  return error ? std::string() : target.native();
}

}  // namespace

Result<std::string> install_id(store::Db& db) {
  auto query = COCOON_TRY(db.prepare("SELECT value FROM meta WHERE key = 'install_id'"));
  if (COCOON_TRY(query.step())) return query.text(0);
  std::string id = COCOON_TRY(random_hex(8));
  auto insert =
      COCOON_TRY(db.prepare("INSERT OR IGNORE INTO meta (key, value) VALUES ('install_id', ?1)"));
  COCOON_TRY(insert.bind(1, id).run());
  auto again = COCOON_TRY(db.prepare("SELECT value FROM meta WHERE key = 'install_id'"));
  COCOON_TRY(again.step());
  return again.text(0);
}

Result<std::uint32_t> propose_uid(Ports& ports, const std::string& vm_id, std::uint32_t attempt) {
  auto start = static_cast<std::uint32_t>(std::hash<std::string>{}(vm_id) % kUidRange);
  for (std::uint32_t step = attempt; step < kUidRange; ++step) {
    std::uint32_t uid = ports.config.uid_base + (start + step) % kUidRange;
    if (sys::exists(claim_path(uid))) continue;
    if (!COCOON_TRY(store::uid_taken(ports.db, uid))) return uid;
  }
  return fail(ErrorKind::kConflict, "all {} VMM uids from {} on are taken", kUidRange,
              ports.config.uid_base);
}

Result<void> claim_uid(const Ports& ports, std::uint32_t uid, const std::string& vm_id) {
  std::string mine = COCOON_TRY(claim_text(ports, vm_id));
  COCOON_TRY(sys::make_dirs(kUidClaims, 0700), "claim uid {}", uid);
  fs::path path = claim_path(uid);
  if (symlink(mine.c_str(), path.c_str()) == 0) {
    sys::side_effect("claim uid");
    return {};
  }
  if (errno != EEXIST) return fail_errno(fmt::format("claim uid {}", uid));
  std::string holder = claim_owner(uid);
  if (holder == mine) return {};
  return fail(ErrorKind::kConflict, "uid {} belongs to {}", uid, holder);
}

Result<void> release_uid(const Ports& ports, std::uint32_t uid, const std::string& vm_id) {
  if (claim_owner(uid) != COCOON_TRY(claim_text(ports, vm_id))) return {};
  COCOON_TRY(sys::remove_file(claim_path(uid)), "release uid {}", uid);
  sys::side_effect("release uid");
  return {};
}

Result<std::vector<UidClaim>> list_uid_claims(const Ports& ports) {
  std::string prefix = COCOON_TRY(install_id(ports.db)) + " ";
  std::vector<UidClaim> claims;
  for (const std::string& name : COCOON_TRY(sys::list_dir(kUidClaims))) {
    auto uid = parse_decimal(name);
    if (!uid) continue;
    std::string holder = claim_owner(static_cast<std::uint32_t>(*uid));
    if (holder.rfind(prefix, 0) != 0) continue;
    claims.push_back({static_cast<std::uint32_t>(*uid), holder.substr(prefix.size())});
  }
  return claims;
}

}  // namespace cocoon::engine
