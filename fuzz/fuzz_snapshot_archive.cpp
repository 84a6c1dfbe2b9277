// SPDX-License-Identifier: Apache-2.0
// The door of `snapshot import`: an archive, unpacked into a directory of its own, beside which
// nothing may appear; then its two documents, and the rules of what they describe.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/text.h"
#include "model/guest_files.h"
#include "model/snapshot.h"
#include "snapshot/archive/documents.h"
#include "snapshot/archive/original.h"
#include "snapshot/archive/unpack.h"
#include "sys/files.h"

namespace {

namespace fs = std::filesystem;
using namespace cocoon;

std::string make_top() {
  std::string name = (fs::temp_directory_path() / "cocoon-fuzz-archive-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  return name;
}

// What the original engine says of a guest names no file but by the names that we give.
void look_at_original(const snapshot::Envelope& envelope, const nlohmann::json& document) {
  auto guest = snapshot::parse_original(envelope, document);
  if (!guest) return;
  for (const model::Disk& disk : guest->snapshot.vm.disks) {
    if (!model::has_usual_name(disk)) std::abort();
  }
  for (const snapshot::OriginalBlob& layer : guest->layers) {
    if (!is_sha256_hex(layer.digest)) std::abort();
  }
  // And is written and read without a change.
  auto again = snapshot::parse_original(envelope, snapshot::original_sidecar(*guest));
  if (!again || again->paths != guest->paths || again->layers != guest->layers) std::abort();
}

void look_at_documents(const snapshot::Unpacked& unpacked) {
  auto envelope = snapshot::parse_envelope(unpacked.envelope);
  if (!envelope) return;
  auto document = snapshot::parse_document(unpacked.sidecar, snapshot::kSidecarFile);
  if (!document) return;
  if (!snapshot::is_own_sidecar(*document)) return look_at_original(*envelope, *document);
  auto sidecar = snapshot::parse_sidecar(*document);
  if (!sidecar || !model::validate(sidecar->snapshot)) return;
  // What is valid is written and read without a change.
  std::string text = snapshot::render_sidecar(*sidecar);
  auto again = snapshot::parse_document(text, snapshot::kSidecarFile);
  if (!again || snapshot::render_sidecar(*snapshot::parse_sidecar(*again)) != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string top = make_top();
  const std::string out = top + "/out";
  fs::create_directory(out);
  image::MemorySource source(std::string(reinterpret_cast<const char*>(data), size));
  auto unpacked = snapshot::unpack_archive(source, out);
  if (unpacked) {
    look_at_documents(*unpacked);
    for (const auto& [name, file] : unpacked->files) {
      if (fs::file_size(out + "/" + name) != static_cast<std::uintmax_t>(file.size)) std::abort();
    }
  }
  std::size_t beside = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(top)) ++beside;
  if (beside != 1) std::abort();
  if (!sys::remove_tree(out)) std::abort();
  return 0;
}
