// SPDX-License-Identifier: Apache-2.0
// `image pull`: an image from a registry, or a cloud image from a web server. Links archive, crypto
// and network libraries: cocoon_engine_acquire only.
#pragma once

#include <string>

#include "engine/image_commit.h"

namespace cocoon::engine {

struct ImagePullRequest {
  std::string reference;  // of a registry, or an http or https URL
  std::string platform;   // os/architecture[/variant]; empty: this host's
  std::string checksum;   // of a URL's file: "sha256:…" or the URL of a list; empty: any
  bool force = false;     // fetch all of it again, and compare what is here
};

// Pulls an image and stores it under its full name. What is here already is not fetched again.
// After a failure that another try may get over, and after a cancellation, what was fetched stays
// for that try (and for gc); after others nothing does. kInvalid: reference, platform or checksum;
// kNotFound; kCorrupt: not what was announced; kUnsupported: another platform, or nothing that can
// run here.
Result<ImageReport> pull_image(Ports& ports, const ImagePullRequest& request,
                               const image::ProgressSink& progress);

}  // namespace cocoon::engine
