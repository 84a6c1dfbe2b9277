// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_facts.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "base/text.h"
#include "sys/files.h"

namespace cocoon::engine {
namespace {

constexpr std::size_t kMaxCpuinfo = std::size_t{4} << 20;
constexpr std::size_t kShown = 5;
constexpr std::size_t kMaxFlags = 1024;

}  // namespace

model::CpuFacts parse_cpu_facts(std::string_view cpuinfo) {
  model::CpuFacts facts;
  for (std::string_view line : split(cpuinfo, '\n')) {
    if (trim(line).empty() && !facts.flags.empty()) break;  // the next processor
    auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view key = trim(line.substr(0, colon));
    std::string_view value = trim(line.substr(colon + 1));
    if (key == "vendor_id") facts.vendor = value;
    if (key == "model name") facts.model = value;
    if (key != "flags") continue;
    for (std::string_view flag : split(value, ' ')) {
      if (!flag.empty() && facts.flags.size() < kMaxFlags) facts.flags.emplace_back(flag);
    }
  }
  std::sort(facts.flags.begin(), facts.flags.end());
  return facts;
}

model::CpuFacts host_cpu_facts() {
  auto text = sys::read_file("/proc/cpuinfo", kMaxCpuinfo);
  return text ? parse_cpu_facts(*text) : model::CpuFacts{};
}

Result<void> check_cpu(const model::CpuFacts& saved, const model::CpuFacts& here) {
  if (saved.flags.empty() || here.flags.empty()) return {};
  if (saved.vendor != here.vendor) {
    return fail(ErrorKind::kUnsupported,
                "the snapshot was taken on a processor of {} ({}), and this one is of {}",
                saved.vendor, saved.model, here.vendor);
  }
  std::vector<std::string> sorted = saved.flags;  // a sidecar's need not be
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> missing;
  std::set_difference(sorted.begin(), sorted.end(), here.flags.begin(), here.flags.end(),
                      std::back_inserter(missing));
  if (missing.empty()) return {};
  std::size_t shown = std::min(kShown, missing.size());
  return fail(ErrorKind::kUnsupported,
              "the snapshot was taken on {}, and this host's processor lacks {}{}", saved.model,
              fmt::join(missing.begin(), missing.begin() + static_cast<long>(shown), ", "),
              missing.size() > shown ? fmt::format(" and {} more", missing.size() - shown) : "");
}

}  // namespace cocoon::engine
