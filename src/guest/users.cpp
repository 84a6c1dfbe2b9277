// SPDX-License-Identifier: Apache-2.0
#include "guest/users.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <system_error>

namespace cocoon::guest {
namespace {

constexpr std::uint32_t kMaxId = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kMaxGroups = 65536;  // NGROUPS_MAX

/// Takes the text up to the separator off `rest`, and the separator with it.
std::string_view take(std::string_view& rest, char separator) {
  const std::string_view part = rest.substr(0, rest.find(separator));
  rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  return part;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<std::uint32_t> to_id(std::string_view text) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), id);
  if (!is_number(text) || error != std::errc() || end != text.end() || id > kMaxId)
    return std::nullopt;
  return id;
}

struct User {
  std::string_view name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string_view home;
};

struct Group {
  std::string_view name;
  std::uint32_t gid = 0;
  std::string_view members;
};

/// name:password:uid:gid:comment:home:shell
std::optional<User> parse_user(std::string_view line) {
  std::array<std::string_view, 6> fields;
  for (std::string_view& field : fields) field = take(line, ':');
  const auto uid = to_id(fields[2]);
  const auto gid = to_id(fields[3]);
  if (fields[0].empty() || !uid || !gid) return std::nullopt;
  return User{fields[0], *uid, *gid, fields[5]};
}

/// name:password:gid:member,member
std::optional<Group> parse_group(std::string_view line) {
  std::array<std::string_view, 4> fields;
  for (std::string_view& field : fields) field = take(line, ':');
  const auto gid = to_id(fields[2]);
  if (fields[0].empty() || !gid) return std::nullopt;
  return Group{fields[0], *gid, fields[3]};
}

bool has_member(std::string_view members, std::string_view name) {
  while (!members.empty()) {
    if (take(members, ',') == name) return true;
  }
  return false;
}

std::optional<User> find_user(std::string_view passwd, std::string_view wanted) {
  const bool by_id = wanted.empty() || is_number(wanted);
  const auto id = wanted.empty() ? std::optional<std::uint32_t>(0) : to_id(wanted);
  while (!passwd.empty()) {
    const auto user = parse_user(take(passwd, '\n'));
    if (user && (by_id ? user->uid == id : user->name == wanted)) return user;
  }
  return std::nullopt;
}

Result<gid_t> find_group(std::string_view groups, std::string_view wanted) {
  if (is_number(wanted)) {
    const auto id = to_id(wanted);
    if (!id) return fail("group \"" + std::string(wanted) + "\"", "id out of range");
    return *id;
  }
  while (!groups.empty()) {
    const auto group = parse_group(take(groups, '\n'));
    if (group && group->name == wanted) return group->gid;
  }
  return fail("group \"" + std::string(wanted) + "\"", "no such entry in /etc/group");
}

/// The groups that name the user as a member, each once, without the primary one.
std::vector<gid_t> memberships(std::string_view groups, std::string_view name, gid_t primary) {
  std::vector<gid_t> gids;
  while (!groups.empty()) {
    const auto group = parse_group(take(groups, '\n'));
    if (group && group->gid != primary && has_member(group->members, name))
      gids.push_back(group->gid);
  }
  std::sort(gids.begin(), gids.end());
  gids.erase(std::unique(gids.begin(), gids.end()), gids.end());
  if (gids.size() >= kMaxGroups) gids.resize(kMaxGroups - 1);
  return gids;
}

}  // namespace

Result<Credentials> resolve_user(std::string_view spec, std::string_view passwd,
                                 std::string_view group) {
  const std::string_view user_name = take(spec, ':');
  const std::string_view group_name = spec;
  const std::string what = "user \"" + std::string(user_name) + "\"";

  Credentials result;
  const auto user = find_user(passwd, user_name);
  if (user) {
    result.uid = user->uid;
    result.gid = user->gid;
    if (!user->home.empty()) result.home = std::string(user->home);
  } else if (is_number(user_name)) {
    const auto id = to_id(user_name);
    if (!id) return fail(what, "id out of range");
    result.uid = *id;
  } else if (!user_name.empty()) {
    return fail(what, "no such entry in /etc/passwd");
  }
  if (!group_name.empty()) result.gid = COCOON_GUEST_TRY(find_group(group, group_name));

  result.groups.push_back(result.gid);
  if (group_name.empty() && user) {
    const auto more = memberships(group, user->name, result.gid);
    result.groups.insert(result.groups.end(), more.begin(), more.end());
  }
  return result;
}

}  // namespace cocoon::guest
