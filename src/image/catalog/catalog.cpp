// SPDX-License-Identifier: Apache-2.0
#include "image/catalog/catalog.h"

#include <sys/stat.h>

#include <algorithm>

#include "image/catalog/reference.h"
#include "model/wording.h"
#include "store/blob_rows.h"
#include "store/image_rows.h"
#include "store/kernel_rows.h"

namespace cocoon::image {
namespace {

// The image of a name, exact or canonical.
Result<std::optional<model::Image>> by_name(store::Db& db, std::string_view reference) {
  auto exact = COCOON_TRY(store::get_image(db, reference));
  if (exact) return exact;
  return store::get_image_by_canonical(db, canonical_name(reference));
}

Failure ambiguous(std::string_view reference, const std::vector<model::Image>& images) {
  std::vector<std::string> digests;
  for (const model::Image& image : images) {
    std::string text = fmt::format("{} ({})", image.name, image.digest.substr(0, 19));
    if (digests.size() < 5) digests.push_back(std::move(text));
  }
  return fail(ErrorKind::kConflict, "\"{}\" is ambiguous: {}{}", reference,
              fmt::join(digests, ", "), images.size() > digests.size() ? ", …" : "");
}

Result<void> check_file(const store::fs::path& path, std::int64_t size) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return fail_errno(fmt::format("stat {}", path.native()));
  if (!S_ISREG(info.st_mode) || info.st_size != size) {
    return fail(ErrorKind::kCorrupt, "{} has {} bytes, not {}: import it again", path.native(),
                info.st_size, size);
  }
  return {};
}

Result<BlobFile> blob_file(store::Db& db, const store::Paths& paths, const std::string& id) {
  auto blob = COCOON_TRY(store::get_blob(db, id));
  if (!blob || blob->state != model::BlobState::kReady) {
    return fail(ErrorKind::kNotFound, "blob {} is not there any more", id);
  }
  BlobFile file{id, paths.root() / blob->file, blob->size};
  COCOON_TRY(check_file(file.path, file.size), "check blob {}", id);
  return file;
}

}  // namespace

Result<std::vector<model::Image>> find_image_names(store::Db& db, std::string_view reference) {
  auto named = COCOON_TRY(by_name(db, reference));
  if (named) return std::vector<model::Image>{std::move(*named)};
  auto digits = digest_digits(reference);
  std::vector<model::Image> images;
  if (digits) images = COCOON_TRY(store::images_by_digest(db, "sha256:" + *digits));
  if (images.empty()) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kImageNotFound, reference);
  }
  bool same = std::all_of(images.begin(), images.end(), [&](const model::Image& image) {
    return image.digest == images[0].digest;
  });
  if (!same) return ambiguous(reference, images);
  return images;
}

Result<model::Image> find_image(store::Db& db, std::string_view reference) {
  auto images = COCOON_TRY(find_image_names(db, reference));
  return std::move(images[0]);
}

Result<BootSource> boot_source(store::Db& db, const store::Paths& paths,
                               std::string_view reference) {
  BootSource source;
  source.image = COCOON_TRY(find_image(db, reference));
  const model::Image& image = source.image;
  for (const std::string& disk : image.disks) {
    source.disks.push_back(COCOON_TRY(blob_file(db, paths, disk), "image \"{}\"", image.name));
  }
  if (image.kernel) {
    source.kernel =
        COCOON_TRY(blob_file(db, paths, image.kernel->blob), "image \"{}\"", image.name);
  }
  if (image.initrd) {
    source.initrd =
        COCOON_TRY(blob_file(db, paths, image.initrd->blob), "image \"{}\"", image.name);
  }
  if (image.vmlinux) {
    source.vmlinux =
        COCOON_TRY(blob_file(db, paths, image.vmlinux->blob), "image \"{}\"", image.name);
  }
  source.blobs = model::image_blobs(image);
  return source;
}

Result<KernelSource> kernel_source(store::Db& db, const store::Paths& paths,
                                   const std::string& name) {
  auto named = COCOON_TRY(store::get_kernel_name(db, name));
  if (!named && name.empty()) {
    return fail(ErrorKind::kNotFound,
                "{}: there is no default kernel; add one with `cocoon kernel import`",
                model::kKernelNotFound);
  }
  if (!named) return fail(ErrorKind::kNotFound, "{}: {}", model::kKernelNotFound, name);
  KernelSource source;
  source.named = std::move(*named);
  const model::Kernel& kernel = source.named.kernel;
  source.kernel = paths.kernel(kernel.id) / model::kKernelFile;
  source.initramfs = paths.kernel(kernel.id) / model::kInitramfsFile;
  COCOON_TRY(check_file(source.kernel, kernel.kernel_size), "kernel \"{}\"", source.named.name);
  COCOON_TRY(check_file(source.initramfs, kernel.initramfs_size), "kernel \"{}\"",
             source.named.name);
  if (kernel.vmlinux_size > 0) {
    source.vmlinux = paths.kernel(kernel.id) / model::kVmlinuxFile;
    COCOON_TRY(check_file(source.vmlinux, kernel.vmlinux_size), "kernel \"{}\"", source.named.name);
  } else if (kernel.format == "elf") {
    source.vmlinux = source.kernel;
  }
  if (!kernel.modules_blob.empty()) {
    source.modules =
        COCOON_TRY(blob_file(db, paths, kernel.modules_blob), "kernel \"{}\"", source.named.name);
  }
  return source;
}

}  // namespace cocoon::image
