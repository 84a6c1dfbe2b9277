// SPDX-License-Identifier: Apache-2.0
// A set of named files that makes up an image: an OCI layout directory, or an archive of one kind
// or the other.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "image/acquire/byte_source.h"
#include "sys/files.h"

namespace cocoon::image {

class Container {
 public:
  virtual ~Container() = default;
  // The bytes of a file; kCorrupt when there is none of this name.
  virtual Result<SourcePtr> open(const std::string& name) const = 0;
  // A small file as a whole.
  Result<std::string> read(const std::string& name, std::size_t limit) const;
};

// Files below a directory; no link is followed.
Result<std::unique_ptr<Container>> open_directory(const sys::fs::path& path);

// Members of an uncompressed tar. Links between members, which old docker-save archives use for
// layers that occur twice, are followed.
std::unique_ptr<Container> make_tar_container(std::unique_ptr<FileSource> tar);

// What the names in a tar say about it.
struct TarContents {
  bool empty = true;
  bool docker_manifest = false;  // manifest.json
  bool oci_layout = false;       // oci-layout and index.json
};

// kInvalid when the file is no tar at all, kCorrupt when it is a damaged one.
Result<TarContents> look_into_tar(FileSource& tar);

}  // namespace cocoon::image
