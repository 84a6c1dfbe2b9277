// SPDX-License-Identifier: Apache-2.0
// What the user hands to `image import`, recognised by content (spec 02 §8, §17 B20): a docker-save
// archive, an OCI image layout (archive or directory), plain tars, one a layer, or a whole disk;
// each plain, gzip or zstd.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "image/acquire/byte_source.h"
#include "image/acquire/disk_input.h"
#include "image/acquire/documents.h"
#include "model/config.h"
#include "model/image.h"
#include "sys/files.h"

namespace cocoon::image {

// One layer as it stands in the input. May be opened several times, by several threads.
struct LayerInput {
  std::string diff_id;  // hex digits of the SHA-256 of the uncompressed tar
  std::string stored;   // the same of the bytes as they stand there; empty: not said
  std::int64_t stored_size = -1;
  std::int64_t least_size = 0;  // uncompressed, as far as the input tells without reading it
  std::string label;            // for messages: "layer 2 of 5 (sha256:0123456789ab)"
  std::function<Result<SourcePtr>()> open;  // the bytes as they stand there
  // Of layers that come from elsewhere; empty for those that are here. What is claimed stays, once
  // it is here, until it is released; start() fetches it ahead of open().
  std::function<Result<void>()> claim;
  std::function<void()> start;
  std::function<void()> release;
};

// Either layers or a disk.
struct ImageInput {
  std::string digest;  // the image's ID, "sha256:…"
  std::string architecture;
  model::ImageConfig config;
  std::vector<LayerInput> layers;  // bottom first
  std::optional<DiskInput> disk;   // a cloud image
};

struct InputRequest {
  std::string name;                  // chooses among several images in one archive
  std::vector<sys::fs::path> files;  // empty, or one "-": standard input
  int standard_input = 0;
  sys::fs::path work;          // streams are spooled there
  std::int64_t max_bytes = 0;  // of a spooled stream
};

// Reads as much as it takes to know what it is: documents are verified here, layers when they are
// read (open_layer). kInvalid: nothing that can be imported; kCorrupt: damaged or hostile;
// kUnsupported: another platform or kind of image.
Result<ImageInput> open_image_input(const InputRequest& request);

// A layer's uncompressed bytes. verify() reads on to the end and compares the digests.
class LayerStream : public ByteSource {
 public:
  static Result<std::unique_ptr<LayerStream>> open(const LayerInput& layer, std::int64_t limit);
  Result<std::size_t> read(char* data, std::size_t size) override {
    return plain_->read(data, size);
  }
  // kCorrupt when the bytes are not those that the image promised.
  Result<void> verify();

 private:
  LayerStream() = default;
  std::string diff_id_;
  std::string stored_digest_;
  std::int64_t stored_size_ = -1;
  ByteSource* bytes_ = nullptr;     // as they stand there; owned by plain_, below the rest
  DigestSource* stored_ = nullptr;  // likewise
  std::unique_ptr<DigestSource> plain_;
};

}  // namespace cocoon::image
