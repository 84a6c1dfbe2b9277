// SPDX-License-Identifier: Apache-2.0
#include "shim/config.h"

namespace cocoon::shim {
namespace {

constexpr std::uint64_t kMinLogBytes = 4096;
constexpr std::uint64_t kMaxLogBytes = std::uint64_t{1} << 40;
constexpr unsigned kMaxLogFiles = 99;
constexpr std::size_t kMaxPath = 4095;
constexpr std::size_t kMaxWord = 128;

enum class Key : unsigned {
  kVersion,
  kId,
  kVmDir,
  kLogDir,
  kExitFile,
  kBootId,
  kUid,
  kGid,
  kNonce,
  kNetns,
  kProgram,
  // Those below may be left out.
  kGroups,
  kCgroup,
  kShimCgroup,
  kConsoleLogBytes,
  kConsoleLogFiles,
  kVmmLogBytes,
  kEndsBy,
  kLock,
  kRoot,
  kShow,
  kArg,
  kEnv,
};

struct KeyName {
  Key key;
  std::string_view name;
  bool required = false;
};

constexpr std::array<KeyName, 23> kKeys = {{
    {Key::kVersion, "version", true},
    {Key::kId, "id", true},
    {Key::kVmDir, "vm_dir", true},
    {Key::kLogDir, "log_dir", true},
    {Key::kExitFile, "exit_file", true},
    {Key::kBootId, "boot_id", true},
    {Key::kUid, "uid", true},
    {Key::kGid, "gid", true},
    {Key::kNonce, "nonce", true},
    // Required, so that a forgotten key never leaves a VMM in the host's network.
    {Key::kNetns, "netns", true},
    {Key::kProgram, "program", true},
    {Key::kGroups, "groups", false},
    {Key::kCgroup, "cgroup", false},
    {Key::kShimCgroup, "shim_cgroup", false},
    {Key::kConsoleLogBytes, "console_log_bytes", false},
    {Key::kConsoleLogFiles, "console_log_files", false},
    {Key::kVmmLogBytes, "vmm_log_bytes", false},
    {Key::kEndsBy, "ends_by", false},
    {Key::kLock, "lock", false},
    {Key::kRoot, "root", false},
    {Key::kShow, "show", false},
    {Key::kArg, "arg", false},
    {Key::kEnv, "env", false},
}};

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_plain(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kMaxWord && is_plain(text) &&
         text.find_first_of("/ ") == std::string_view::npos;
}

bool is_absolute_path(std::string_view text) {
  return text.size() <= kMaxPath && text.starts_with('/') && is_plain(text);
}

bool is_nonce(std::string_view text) {
  if (text.empty() || text.size() > kMaxWord) return false;
  for (const char c : text) {
    if (!is_hex(c)) return false;
  }
  return true;
}

// (id_t)-1 means "leave as it is" to setresuid and setgroups.
template <typename Id>
bool parse_unprivileged_id(std::string_view text, Id& id) {
  return parse_number(text, id) && id != 0 && id != static_cast<Id>(-1);
}

template <typename Number>
bool parse_between(std::string_view text, Number low, Number high, Number& value) {
  return parse_number(text, value) && value >= low && value <= high;
}

bool assign(std::string_view value, bool valid, std::string_view& field) {
  if (valid) field = value;
  return valid;
}

bool parse_groups(std::string_view value, Config& config) {
  while (!value.empty()) {
    if (config.group_count == config.groups.size() || value.ends_with(',')) return false;
    if (!parse_unprivileged_id(take_until(value, ','), config.groups[config.group_count]))
      return false;
    ++config.group_count;
  }
  return true;
}

class Parser {
 public:
  explicit Parser(Config& config) : config_(config) {}

  Outcome entry(char* text, std::size_t size) {
    std::string_view value(text, size);
    const std::size_t equals = value.find('=');
    if (equals == std::string_view::npos) return failure("shim.conf: an entry without '='");
    const std::string_view name(text, equals);
    value.remove_prefix(equals + 1);
    for (const KeyName& known : kKeys) {
      if (known.name != name) continue;
      if (take(known.key, value, text + equals + 1)) return success();
      return complain("bad, repeated or too many values for", name);
    }
    return complain("unknown key", name);
  }

  Outcome finish() {
    for (const KeyName& known : kKeys) {
      if (known.required && !seen(known.key)) return complain("missing key", known.name);
    }
    return success();
  }

 private:
  static Outcome complain(std::string_view what, std::string_view name) {
    Outcome outcome = failure("shim.conf: ");
    outcome.why.add(what).add(" '").add(name).add("'");
    return outcome;
  }

  [[nodiscard]] bool seen(Key key) const {
    return (seen_ & (1U << static_cast<unsigned>(key))) != 0;
  }

  // `text` is `value` as the writable C string that execve takes.
  bool take(Key key, std::string_view value, char* text) {
    if (key == Key::kArg) {
      if (arguments_ == kMaxArguments) return false;
      config_.argv[++arguments_] = text;
      return true;
    }
    if (key == Key::kEnv) {
      const std::size_t equals = value.find('=');
      if (equals == 0 || equals == std::string_view::npos || variables_ == kMaxEnvironment)
        return false;
      config_.environment[variables_++] = text;
      return true;
    }
    if (key == Key::kLock) {
      if (config_.lock_count == kMaxLocks || !is_word(value) || value == "." || value == "..")
        return false;
      config_.locks[config_.lock_count++] = value;
      return true;
    }
    if (key == Key::kShow) {
      if (config_.shown_count == kMaxShown || !is_absolute_path(value) || value == "/")
        return false;
      config_.shown[config_.shown_count++] = value;
      return true;
    }
    if (seen(key)) return false;
    seen_ |= 1U << static_cast<unsigned>(key);
    return take_once(key, value, text);
  }

  bool take_once(Key key, std::string_view value, char* text) {
    switch (key) {
      case Key::kVersion:
        return value == "1";
      case Key::kId:
        return assign(value, is_word(value), config_.id);
      case Key::kVmDir:
        return assign(value, is_absolute_path(value), config_.vm_dir);
      case Key::kLogDir:
        return assign(value, is_absolute_path(value), config_.log_dir);
      case Key::kExitFile:
        return assign(value, is_absolute_path(value) && !value.ends_with('/'), config_.exit_file);
      case Key::kBootId:
        return assign(value, is_word(value), config_.boot_id);
      case Key::kUid:
        return parse_unprivileged_id(value, config_.uid);
      case Key::kGid:
        return parse_unprivileged_id(value, config_.gid);
      case Key::kNonce:
        return assign(value, is_nonce(value), config_.nonce);
      case Key::kNetns:
        return assign(value, value == "none" || value == "new" || is_absolute_path(value),
                      config_.netns);
      case Key::kProgram:
        config_.argv[0] = text;
        return is_absolute_path(value);
      case Key::kGroups:
        return parse_groups(value, config_);
      case Key::kCgroup:
        return assign(value, value.empty() || is_absolute_path(value), config_.cgroup);
      case Key::kShimCgroup:
        return assign(value, value.empty() || is_absolute_path(value), config_.shim_cgroup);
      case Key::kConsoleLogBytes:
        return parse_between(value, kMinLogBytes, kMaxLogBytes, config_.console_log_bytes);
      case Key::kConsoleLogFiles:
        return parse_between(value, 1U, kMaxLogFiles, config_.console_log_files);
      case Key::kVmmLogBytes:
        return parse_between(value, kMinLogBytes, kMaxLogBytes, config_.vmm_log_bytes);
      case Key::kEndsBy:
        config_.ends_by_reboot = value == "reboot";
        return value == "reboot" || value == "poweroff";
      case Key::kRoot:
        config_.private_root = value == "private";
        return value == "private" || value == "host";
      case Key::kLock:
      case Key::kShow:
      case Key::kArg:
      case Key::kEnv:
        break;
    }
    return false;
  }

  Config& config_;
  unsigned seen_ = 0;
  std::size_t arguments_ = 0;
  std::size_t variables_ = 0;
};

}  // namespace

Outcome parse_config(std::span<char> bytes, Config& config) {
  if (bytes.empty()) return failure("shim.conf: empty");
  if (bytes.back() != '\0') return failure("shim.conf: the last entry is not ended by NUL");
  config = Config{};
  Parser parser(config);
  std::size_t start = 0;
  while (start < bytes.size()) {
    char* const text = bytes.data() + start;
    const std::size_t size = std::strlen(text);
    if (Outcome outcome = parser.entry(text, size); !outcome.ok) return outcome;
    start += size + 1;
  }
  return parser.finish();
}

}  // namespace cocoon::shim
