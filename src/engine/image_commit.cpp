// SPDX-License-Identifier: Apache-2.0
#include "engine/image_commit.h"

#include "base/clock.h"
#include "disk/disk_image.h"
#include "disk/qcow2_header.h"
#include "image/catalog/reference.h"
#include "store/image_rows.h"
#include "sys/cancel.h"

namespace cocoon::engine {
namespace {

model::Image make_record(const std::string& name, const image::ImageInput& input,
                         const image::ImageBlobs& blobs) {
  model::Image record;
  record.name = name;
  record.canonical = image::canonical_name(name);
  record.digest = input.digest;
  record.type = input.disk ? model::kCloudImage : model::kOciImage;
  record.architecture = input.architecture;
  record.config = input.config;
  record.created_at = utc_now();
  for (const auto& layer : input.layers) record.layers.push_back("sha256:" + layer.diff_id);
  for (const auto& disk : blobs.disks) {
    record.disks.push_back(disk.blob.id);
    record.size += disk.blob.size;
  }
  if (blobs.kernel && blobs.initrd) {
    record.kernel = model::BootFile{blobs.kernel->blob.id, blobs.boot->kernel.path};
    record.initrd = model::BootFile{blobs.initrd->blob.id, blobs.boot->initrd.path};
    record.size += blobs.kernel->blob.size + blobs.initrd->blob.size;
  }
  if (record.kernel && blobs.vmlinux) {
    record.vmlinux = model::BootFile{blobs.vmlinux->blob.id, blobs.boot->kernel.path};
    record.size += blobs.vmlinux->blob.size;
  }
  return record;
}

std::size_t count_new(const image::ImageBlobs& blobs) {
  std::size_t count = 0;
  for (const auto& disk : blobs.disks) count += disk.made ? 1 : 0;
  for (const auto* file : {&blobs.kernel, &blobs.initrd, &blobs.vmlinux}) {
    count += *file && (*file)->made ? 1 : 0;
  }
  return count;
}

}  // namespace

Result<ImageReport> commit_image(Ports& ports, const std::string& name,
                                 const image::ImageInput& input, const image::ImageBlobs& blobs) {
  COCOON_TRY(sys::check_cancelled());
  ImageReport report;
  report.image = make_record(name, input, blobs);
  report.new_blobs = count_new(blobs);
  store::Transaction tx = COCOON_TRY(ports.db.begin());
  auto before = COCOON_TRY(store::get_image_by_canonical(ports.db, report.image.canonical));
  if (before) {
    model::Image same = report.image;
    same.created_at = before->created_at;
    if (same == *before) {
      report.image = std::move(*before);
      report.changed = false;
      return report;
    }
  }
  COCOON_TRY(store::put_image(ports.db, report.image));
  COCOON_TRY(tx.commit());
  return report;
}

Result<image::ImageBlobs> convert_disk(image::BlobStore& blobs, const image::WorkDir& work,
                                       const image::DiskInput& input,
                                       const image::ProgressSink& progress) {
  disk::Untrusted untrusted{input.file.parent_path(), input.file.filename(),
                            disk::ImageFormat::kRaw, 0, work.lock_fd()};
  if (input.kind == image::DiskKind::kQcow2) {
    auto source = COCOON_TRY(image::FileSource::open(input.file));
    image::PeekSource head(std::move(source));
    std::string_view bytes = COCOON_TRY(head.peek(disk::kQcow2HeadBytes));
    auto info = COCOON_TRY(disk::check_qcow2(bytes));
    untrusted.format = disk::ImageFormat::kQcow2;
    untrusted.virtual_size = info.virtual_size;
  }
  model::Blob blob;
  blob.id = fmt::format("disk-{}-raw1", input.digest);
  blob.kind = "disk";
  blob.converter = "raw1";
  progress({"convert", 0, 1, "disk"});
  auto lease = COCOON_TRY(blobs.ensure(
      std::move(blob), untrusted.dir,
      [&untrusted](const image::BlobStore::Order& order, model::Blob&) -> Result<void> {
        return disk::flatten_image(untrusted, order.file.filename());
      }));
  progress({"layer", 1, 1, lease.made ? "disk: converted" : "disk: already there"});
  image::ImageBlobs made;
  made.disks.push_back(std::move(lease));
  return made;
}

}  // namespace cocoon::engine
