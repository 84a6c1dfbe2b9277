// SPDX-License-Identifier: Apache-2.0
// A JSON object out of a snapshot, read member by member. What nobody asked for is refused in the
// end, so a hostile file can name nothing that we do not know. The first problem counts and is kept
// until finish(). A member that is null counts as absent (up to v52 optional ones are written so).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace cocoon::vmm::cloud_hypervisor {

class Members {
 public:
  // `name` is what messages call the object: "config.json: disks[1]". The object is borrowed.
  Members(const nlohmann::json& object, std::string name);

  // The member's value, null when it is absent.
  const nlohmann::json* find(const char* key);
  // As find(); absent or of another kind is a problem, and an empty one is handed back.
  const nlohmann::json& object(const char* key);
  const nlohmann::json& list(const char* key);

  // The member must have this value; `same_or_absent`: or be absent.
  void same(const char* key, const nlohmann::json& expected);
  void same_or_absent(const char* key, const nlohmann::json& expected);

  // A value that is of no account, but has to be of this kind when it is there.
  bool flag(const char* key, bool otherwise = false);
  std::uint64_t number(const char* key, std::uint64_t most, std::uint64_t otherwise = 0);
  // At most 4095 bytes.
  std::string text(const char* key);

  // A problem of the caller's own finding.
  void refuse(const char* key, std::string_view why);

  // kCorrupt with the first problem so far.
  Result<void> check() const;
  // The same, or with the name of a member that nobody asked for.
  Result<void> finish() const;

 private:
  const nlohmann::json& object_;
  std::string name_;
  std::set<std::string_view> known_;
  std::string problem_;
};

// Reads a JSON text inside of a snapshot's file. kCorrupt, named; also for a number that is none of
// 64 bits, which could not be written again as it was.
Result<nlohmann::json> parse_exact(std::string_view text, std::string_view name);

}  // namespace cocoon::vmm::cloud_hypervisor
