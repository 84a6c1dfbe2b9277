// SPDX-License-Identifier: Apache-2.0
#include "cidata/user_data.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "base/units.h"
#include "cidata/utf8.h"

namespace cocoon::cidata {
namespace {

constexpr std::int64_t kMaxUserData = 16 * kMiB;
constexpr std::size_t kMimeSearch = 4096;  // where cloud-init looks for "mime-version:"
constexpr std::size_t kBytesPerLine = 57;  // 76 characters of base64 (RFC 2045 §6.8)
constexpr std::string_view kAppend = "list(append)+dict(no_replace,recurse_list)+str()";
constexpr std::string_view kReplace = "list()+dict(replace)+str()";

// cloud-init compares without case and leading blanks (handlers.type_from_starts_with).
bool has_known_start(std::string_view text) {
  constexpr std::array<std::string_view, 6> kStarts{
      "#cloud-config", "#!", "#include", "#part-handler", "#cloud-boothook", "## template: jinja"};
  std::string start = to_lower(trim(text).substr(0, 64));
  return std::any_of(kStarts.begin(), kStarts.end(),
                     [&](std::string_view one) { return start.rfind(one, 0) == 0; });
}

bool is_mime_message(std::string_view text) {
  return to_lower(text.substr(0, kMimeSearch)).find("mime-version:") != std::string::npos;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (j < have ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= have ? kDigits[(bits >> (18 - 6 * j)) & 0x3fU] : '=';
    }
    if ((i + 3) % kBytesPerLine == 0) out += '\n';
  }
  if (!out.empty() && out.back() != '\n') out += '\n';
  return out;
}

std::string config_part(std::string_view merge_rule, std::string_view text) {
  return fmt::format(
      "Content-Type: text/cloud-config; charset=\"us-ascii\"\n"
      "Merge-Type: {}\n"
      "\n"
      "{}",
      merge_rule, text);
}

Result<std::string> users_part(std::string_view text) {
  if (text.size() > static_cast<std::size_t>(kMaxUserData)) {
    return fail(ErrorKind::kInvalid, "the user data is larger than {}", bytes_size(kMaxUserData));
  }
  if (!is_utf8(text) || text.find('\0') != std::string_view::npos) {
    return fail(ErrorKind::kInvalid, "the user data is not UTF-8 text");
  }
  if (has_known_start(text)) {
    return "Content-Type: text/plain; charset=\"utf-8\"\n"
           "Content-Transfer-Encoding: base64\n"
           "\n" +
           base64(text);
  }
  if (!is_mime_message(text)) {
    return fail(ErrorKind::kInvalid,
                "cloud-init does not know this kind of user data: its first line must begin with "
                "#cloud-config, #!, #include, #part-handler, #cloud-boothook or \"## template: "
                "jinja\", or it must be a MIME message");
  }
  // The line that mailbox files begin with is no header inside a message.
  if (text.rfind("From ", 0) == 0)
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return std::string(text) + "\n";
}

// One that no part holds, else a part could end itself early or begin another.
std::string choose_boundary(const std::vector<std::string>& parts) {
  for (int number = 0;; ++number) {
    std::string boundary = fmt::format("cocoon-user-data-{}", number);
    bool taken = std::any_of(parts.begin(), parts.end(), [&](const std::string& part) {
      return part.find("--" + boundary) != std::string::npos;
    });
    if (!taken) return boundary;
  }
}

}  // namespace

Result<std::string> merge_user_data(const CloudConfig& ours,
                                    const std::optional<std::string>& users) {
  if (!users || trim(*users).empty()) return ours.document;
  std::vector<std::string> parts{COCOON_TRY(users_part(*users)),
                                 config_part(kAppend, ours.document)};
  if (!ours.scalars.empty()) {
    parts.push_back(config_part(kReplace, "#cloud-config\n" + ours.scalars));
  }
  std::string boundary = choose_boundary(parts);
  std::string out = fmt::format(
      "Content-Type: multipart/mixed; boundary=\"{}\"\n"
      "MIME-Version: 1.0\n"
      "\n",
      boundary);
  for (const std::string& part : parts) out += fmt::format("--{}\n{}", boundary, part);
  return out + fmt::format("--{}--\n", boundary);
}

}  // namespace cocoon::cidata
