// SPDX-License-Identifier: Apache-2.0
// Image names: the reference grammar (spec 02 §2.2) and the rules for names of imported images
// (spec 02 §17 B8, B21).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cocoon::image {

struct Reference {
  std::string registry;    // "index.docker.io"
  std::string repository;  // "library/ubuntu"
  std::string tag;         // empty when there is a digest
  std::string digest;      // "sha256:…" or empty
  // "registry/repository:tag" or "registry/repository@digest": equal for equal images.
  std::string canonical() const;
  // As Docker shows it in full, and as a pulled image is stored: "docker.io/library/ubuntu:24.04".
  std::string name() const;
};

// The registry that names without a host mean, as it stands in Reference::registry.
inline constexpr std::string_view kDockerHub = "index.docker.io";

// An image that is pulled from a web server: the reference starts with http:// or https://.
bool is_url(std::string_view reference);

// nullopt when the text is no reference.
std::optional<Reference> parse_reference(std::string_view text);

// The canonical form of a name; a name that is no reference is its own.
std::string canonical_name(std::string_view name);

// May an image be stored under this name? Refuses what could never be looked up again or would mean
// something else: empty, blanks and control characters, URLs, digests, 12 or more hex digits.
Result<void> check_image_name(std::string_view name);

// The digits of a digest or of an unambiguous part of one: "sha256:" optional, at least 12 and at
// most 64 hex digits, as lower case. nullopt for everything else.
std::optional<std::string> digest_digits(std::string_view text);

}  // namespace cocoon::image
