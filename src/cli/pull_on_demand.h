// SPDX-License-Identifier: Apache-2.0
// --pull of the `vm` verbs: the image is fetched by cocoon-image before the VM is made.
#pragma once

#include <string>

#include "cli/app.h"
#include "cli/command.h"

namespace cocoon::cli {

enum class PullPolicy { kNever, kMissing, kAlways };

// --pull[=missing|always|never]; alone it means missing. `unsaid` is what its absence means.
Flag pull_flag(OptionalValue* target, PullPolicy unsaid);
PullPolicy pull_policy(const OptionalValue& given, PullPolicy unsaid);

// Makes sure that the image of a new VM is here. kNotFound ("image not found: …") when it is not
// and may not or cannot be pulled; with kAlways errors are those of `image pull`.
Result<void> ensure_image(App& app, const std::string& reference, PullPolicy policy);

// What a snapshot says of the image that it was taken on.
struct SnapshotImage {
  std::string name;    // empty: not said
  std::string digest;  // "sha256:…" or empty
  std::string type;    // model::kOciImage, model::kCloudImage
};
// Makes sure that the image of a snapshot is here, by digest where it has one (spec 02 §11). What
// goes wrong is only remarked, but for an interruption: the clone itself says what it lacks.
Result<void> ensure_snapshot_image(App& app, const SnapshotImage& image, PullPolicy policy);

}  // namespace cocoon::cli
