// SPDX-License-Identifier: Apache-2.0
#include "cli/pull_on_demand.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "cli/cocoon_image.h"
#include "cli/helper_result.h"
#include "engine/image_list.h"
#include "image/catalog/reference.h"
#include "model/wording.h"
#include "sys/cancel.h"
#include "sys/spawn.h"

namespace cocoon::cli {
namespace {

// No pull takes that long; its own limits are about silence.
constexpr Milliseconds kPullLimit(std::chrono::hours(24));

Failure not_here(const std::string& reference) {
  return fail(ErrorKind::kNotFound, "{}: {}", model::kImageNotFound, reference);
}

// All that the helper writes, until it is gone.
Result<std::string> read_result(int fd) {
  constexpr std::size_t kMost = std::size_t{1} << 20;
  std::string text;
  std::array<char, 4096> chunk{};
  while (text.size() <= kMost) {
    std::array<pollfd, 2> entries{pollfd{fd, POLLIN, 0}, pollfd{sys::cancel_fd(), POLLIN, 0}};
    if (poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) return fail_errno("poll");
    COCOON_TRY(sys::check_cancelled());
    if (entries[0].revents == 0) continue;
    ssize_t got = read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read the result of cocoon-image");
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return fail(ErrorKind::kInternal, "cocoon-image talks too much");
}

// `cocoon-image image pull REFERENCE` with our settings; its progress is on our standard error.
Result<void> pull(App& app, const std::string& reference) {
  std::vector<std::string> words = app.given_flags();
  for (const char* word : {"image", "pull"}) words.emplace_back(word);
  words.push_back(reference);
  sys::SpawnSpec spec = COCOON_TRY(cocoon_image_spec(std::move(words)));
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("make a pipe");
  sys::UniqueFd read_end(ends[0]);
  sys::UniqueFd write_end(ends[1]);
  spec.env.push_back(fmt::format("{}={}", kResultVariable, kResultDescriptor));
  spec.fds = {{write_end.get(), kResultDescriptor}, {STDERR_FILENO, STDERR_FILENO}};
  sys::Child child = COCOON_TRY(sys::spawn(spec));
  write_end.reset();
  std::string text = COCOON_TRY(read_result(read_end.get()));
  COCOON_TRY(child.wait(deadline_in(kPullLimit)));
  COCOON_TRY(parse_helper_result(text));
  return {};
}

Result<bool> is_here(App& app, const std::string& reference) {
  engine::Ports* ports = COCOON_TRY(app.ports());
  auto image = engine::inspect_image(*ports, reference);
  if (image) return true;
  if (image.error().kind == ErrorKind::kNotFound) return false;
  return pass(std::move(image).error());
}

// Could a registry or a web server have it? Digests and parts of them mean images that are here.
bool can_be_pulled(const std::string& reference) {
  if (image::is_url(reference)) return true;
  return !image::digest_digits(reference) && image::parse_reference(reference).has_value() &&
         !reference.starts_with('-');
}

}  // namespace

Flag pull_flag(OptionalValue* target, PullPolicy unsaid) {
  return {.name = "pull",
          .target = target,
          .help = fmt::format(
              "fetch the image: missing (as --pull alone), always or never (default {})",
              unsaid == PullPolicy::kMissing ? "missing" : "never"),
          .value_name = "WHEN",
          .choices = {"missing", "always", "never"}};
}

PullPolicy pull_policy(const OptionalValue& given, PullPolicy unsaid) {
  if (!given.given) return unsaid;
  if (given.value == "always") return PullPolicy::kAlways;
  return given.value == "never" ? PullPolicy::kNever : PullPolicy::kMissing;
}

Result<void> ensure_image(App& app, const std::string& reference, PullPolicy policy) {
  if (policy == PullPolicy::kNever) return {};
  bool here = COCOON_TRY(is_here(app, reference));
  if (policy == PullPolicy::kMissing && here) return {};
  if (!can_be_pulled(reference)) return here ? Result<void>() : not_here(reference);
  auto pulled = pull(app, reference);
  if (pulled || here || pulled.error().kind == ErrorKind::kInterrupted) return pulled;
  // Whatever stood in the way: what the user asked for does not exist here.
  return fail(ErrorKind::kNotFound, "{}: {}: {}", model::kImageNotFound, reference,
              pulled.error().to_string());
}

Result<void> ensure_snapshot_image(App& app, const SnapshotImage& image, PullPolicy policy) {
  if (policy == PullPolicy::kNever || image.name.empty() || image.type.empty()) return {};
  const std::string& known_as = image.digest.empty() ? image.name : image.digest;
  if (policy == PullPolicy::kMissing && COCOON_TRY(is_here(app, known_as))) return {};
  std::string reference = image.name;
  auto parsed = image::parse_reference(image.name);
  if (image.type == model::kOciImage && parsed && !image.digest.empty()) {
    parsed->digest = image.digest;
    reference = parsed->name();
  }
  if (!can_be_pulled(reference)) return {};
  auto pulled = pull(app, reference);
  if (pulled) {
    if (!COCOON_TRY(is_here(app, known_as))) {
      app.output().remark(fmt::format("{} is not the image that the snapshot was taken on ({})",
                                      reference, image.digest));
    }
    return {};
  }
  if (pulled.error().kind == ErrorKind::kInterrupted) return pulled;
  app.output().remark(
      fmt::format("the snapshot's image was not pulled: {}", pulled.error().to_string()));
  return {};
}

}  // namespace cocoon::cli
