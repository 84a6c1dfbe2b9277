// SPDX-License-Identifier: Apache-2.0
#include "store/reference.h"

#include <algorithm>
#include <vector>

#include "base/id.h"

namespace cocoon::store {
namespace {

constexpr std::size_t kShortest = 3;
constexpr std::size_t kShown = 5;  // of the IDs that a prefix could mean

Failure ambiguous(std::string_view reference, const std::vector<std::string>& ids) {
  auto end = ids.begin() + static_cast<long>(std::min(kShown, ids.size()));
  return fail(ErrorKind::kConflict, "\"{}\" is ambiguous: {}{}", reference,
              fmt::join(ids.begin(), end, ", "), ids.size() > kShown ? ", …" : "");
}

}  // namespace

Result<std::optional<std::string>> resolve_reference(Db& db, std::string_view table,
                                                     std::string_view reference) {
  Statement exact = COCOON_TRY(db.prepare(fmt::format(
      "SELECT id FROM {} WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1", table)));
  exact.bind(1, reference);
  if (COCOON_TRY(exact.step())) return std::optional<std::string>(exact.text(0));
  if (reference.size() < kShortest || reference.size() >= kIdLength) {
    return std::optional<std::string>();
  }
  // '~' sorts after every letter and digit of an ID.
  Statement prefix = COCOON_TRY(db.prepare(
      fmt::format("SELECT id FROM {} WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 6", table)));
  prefix.bind(1, reference).bind(2, std::string(reference) + "~");
  std::vector<std::string> ids;
  while (COCOON_TRY(prefix.step())) ids.push_back(prefix.text(0));
  if (ids.size() > 1) return ambiguous(reference, ids);
  if (ids.empty()) return std::optional<std::string>();
  return std::optional<std::string>(std::move(ids[0]));
}

}  // namespace cocoon::store
