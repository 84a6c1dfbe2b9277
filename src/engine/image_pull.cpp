// SPDX-License-Identifier: Apache-2.0
#include "engine/image_pull.h"

#include <sys/stat.h>

#include <algorithm>
#include <mutex>

#include "base/clock.h"
#include "base/units.h"
#include "disk/qcow2_header.h"
#include "image/acquire/remote/checksum.h"
#include "image/acquire/remote/registry.h"
#include "image/acquire/remote/remote_image.h"
#include "image/acquire/remote/url_download.h"
#include "image/catalog/catalog.h"
#include "image/catalog/reference.h"
#include "store/image_rows.h"
#include "sys/cancel.h"

namespace cocoon::engine {
namespace {

using image::ProgressSink;

// Steps come from the converter's threads and from those of the downloads.
ProgressSink one_at_a_time(const ProgressSink& sink, std::mutex& mutex) {
  return [&sink, &mutex](const image::Progress& step) {
    std::lock_guard guard(mutex);
    sink(step);
  };
}

image::BytesSink bytes_to(const ProgressSink& progress) {
  return [&progress](std::int64_t done, std::int64_t total) {
    image::Progress step;
    step.phase = "download";
    step.bytes_done = done;
    step.bytes_total = total;
    progress(step);
  };
}

image::WaitNotice notice_to(const ProgressSink& progress) {
  return image::WaitNotice([&progress](std::string text) {
    progress({"wait", 0, 0, std::move(text)});
  });
}

// The image of this name, if all of its files are here.
Result<std::optional<model::Image>> whole_image(Ports& ports, const std::string& name) {
  auto source = image::boot_source(ports.db, ports.paths, name);
  if (source) return std::optional<model::Image>(std::move(source->image));
  auto kind = source.error().kind;
  bool damaged =
      kind == ErrorKind::kNotFound || kind == ErrorKind::kCorrupt || kind == ErrorKind::kSystem;
  if (damaged) return std::optional<model::Image>();
  return pass(std::move(source).error());
}

ImageReport unchanged(model::Image image) {
  ImageReport report;
  report.image = std::move(image);
  report.changed = false;
  return report;
}

// What is here of this manifest already, under this name or another one, which gets this name too.
Result<std::optional<ImageReport>> already_here(Ports& ports, const std::string& name,
                                                const std::string& digest) {
  auto same = COCOON_TRY(store::images_by_digest(ports.db, digest));
  std::stable_partition(same.begin(), same.end(), [&](const model::Image& candidate) {
    return candidate.canonical == image::canonical_name(name);
  });
  for (const model::Image& candidate : same) {
    if (candidate.type != model::kOciImage) continue;
    auto whole = COCOON_TRY(whole_image(ports, candidate.name));
    if (!whole) continue;
    if (whole->canonical == image::canonical_name(name)) return std::optional(unchanged(*whole));
    ImageReport report;
    report.image = std::move(*whole);
    report.image.name = name;
    report.image.canonical = image::canonical_name(name);
    report.image.created_at = utc_now();
    store::Transaction tx = COCOON_TRY(ports.db.begin());
    auto put = store::put_image(ports.db, report.image);
    if (!put && put.error().kind == ErrorKind::kNotFound) continue;  // collected in between
    COCOON_TRY(std::move(put));
    COCOON_TRY(tx.commit());
    return std::optional(std::move(report));
  }
  return std::optional<ImageReport>();
}

// --- registries ---

// Reads every layer to its end, which checks it, and compares the blobs with their records.
Result<void> fetch_all_again(image::BlobStore& blobs, const image::ImageInput& input,
                             std::int64_t limit) {
  std::vector<std::string> diff_ids;
  for (const auto& layer : input.layers) {
    COCOON_TRY(layer.claim(), "{}", layer.label);
    layer.start();
    diff_ids.push_back(layer.diff_id);
  }
  for (const auto& layer : image::without_duplicates(input.layers)) {
    auto stream = COCOON_TRY(image::LayerStream::open(layer, limit), "{}", layer.label);
    COCOON_TRY(stream->verify(), "{}", layer.label);
    COCOON_TRY(blobs.recheck(layer.diff_id + "-", "layer"), "{}", layer.label);
  }
  COCOON_TRY(blobs.recheck(image::chain_id(diff_ids) + "-m-", "merged"));
  return {};
}

struct RegistryPull {
  Ports& ports;
  const ImagePullRequest& request;
  const ProgressSink& progress;
  std::string name;
  image::ResolvedImage resolved;
  image::Registry& registry;
  image::WaitNotice& notice;
};

Result<ImageReport> convert_and_commit(RegistryPull& pull, image::BlobStore& blobs,
                                       image::Downloads& downloads, const image::WorkDir& work) {
  Ports& ports = pull.ports;
  auto input = COCOON_TRY(image::open_remote_image(downloads, pull.resolved));
  auto settings = image::convert_settings(ports.config, work);
  pull.progress({"pull", 0, input.layers.size(),
                 fmt::format("{}: {} layers", pull.name, input.layers.size())});
  if (pull.request.force) COCOON_TRY(fetch_all_again(blobs, input, settings.limits.bytes));
  auto made = COCOON_TRY(image::convert_image(blobs, settings, input, pull.progress));
  return commit_image(ports, pull.name, input, made);
}

// One attempt; `again` says that a part which an earlier command had left spoiled it.
Result<ImageReport> pull_once(RegistryPull& pull, bool& again) {
  Ports& ports = pull.ports;
  image::WorkDir work = COCOON_TRY(image::WorkDir::create(ports.paths, "image pull"));
  image::BlobStore blobs(ports.db, ports.paths, &pull.notice);
  auto fetch = [&pull](const std::string& digest, std::int64_t offset, const image::BodySink& sink,
                       const std::function<bool()>& stop) {
    return pull.registry.blob(digest, offset, sink, stop);
  };
  image::Downloads downloads(ports.paths, fetch, static_cast<std::size_t>(ports.config.pull_conns),
                             bytes_to(pull.progress), pull.notice);
  auto report = convert_and_commit(pull, blobs, downloads, work);
  again = !report && downloads.had_bad_part();
  bool may_pass =
      !report && (report.error().kind == ErrorKind::kInterrupted || downloads.network_failed());
  if (!may_pass) downloads.drop_all();
  if (report || may_pass) {
    blobs.keep();
  } else {
    blobs.undo();
  }
  return report;
}

Result<ImageReport> pull_from_registry(Ports& ports, const ImagePullRequest& request,
                                       const ProgressSink& progress) {
  auto reference = image::parse_reference(request.reference);
  if (!reference) {
    return fail(ErrorKind::kInvalid, "\"{}\" is no image reference", request.reference);
  }
  image::Platform platform = image::host_platform();
  if (!request.platform.empty()) platform = COCOON_TRY(image::parse_platform(request.platform));
  if (!request.checksum.empty()) {
    return fail(ErrorKind::kInvalid,
                "--checksum is for URLs; name the image with @sha256:… instead");
  }
  image::WebClient web(ports.config);
  image::Registry registry(web, COCOON_TRY(image::find_endpoints(ports.config, *reference)));
  std::string name = reference->name();
  progress({"resolve", 0, 0, name});
  auto manifest = [&registry](const std::string& which) -> Result<image::ManifestText> {
    auto document = COCOON_TRY(registry.manifest(which));
    return image::ManifestText{std::move(document.text), std::move(document.digest)};
  };
  auto resolved = COCOON_TRY(image::resolve_image(
      manifest, reference->digest.empty() ? reference->tag : reference->digest, platform));
  if (!request.force) {
    auto here = COCOON_TRY(already_here(ports, name, "sha256:" + resolved.digest));
    if (here && here->image.architecture == platform.architecture) return std::move(*here);
  }
  image::WaitNotice notice = notice_to(progress);
  RegistryPull pull{ports, request, progress, name, std::move(resolved), registry, notice};
  bool again = false;
  auto report = pull_once(pull, again);
  if (again) report = pull_once(pull, again);
  return report;
}

// --- web servers ---

// Refuses what can be no disk by its first bytes, before the rest is fetched.
Result<void> check_head(std::string_view head) {
  auto compression = image::sniff_compression(head);
  bool archive = head.starts_with("PK\x03\x04") || head.starts_with("7z\xbc\xaf\x27\x1c");
  if (compression != image::Compression::kNone || archive) {
    bool importable =
        compression == image::Compression::kGzip || compression == image::Compression::kZstd;
    return fail(ErrorKind::kUnsupported,
                "it is compressed: download it, {}and use `cocoon image import NAME FILE`",
                importable ? "" : "unpack it ");
  }
  if (head.starts_with("<!") || head.starts_with("<?") || head.starts_with("<h") ||
      head.starts_with("<H")) {
    return fail(ErrorKind::kUnsupported, "it is a web page, not a disk image");
  }
  auto kind = image::disk_kind(head);
  if (kind == image::DiskKind::kNone) {
    return fail(ErrorKind::kUnsupported,
                "it is no disk image: neither qcow2 nor a raw disk with partitions");
  }
  if (kind == image::DiskKind::kQcow2) COCOON_TRY(disk::check_qcow2(head));
  return {};
}

Result<image::ImageInput> fetch_disk(Ports& ports, const ImagePullRequest& request,
                                     image::WebClient& web, image::UrlDownload& download,
                                     const image::WorkDir& work, const ProgressSink& progress) {
  image::UrlRequest wanted;
  wanted.url = request.reference;
  wanted.sha256 = request.checksum;
  wanted.connections = static_cast<std::size_t>(ports.config.pull_conns);
  wanted.max_bytes = ports.config.max_download_bytes;
  wanted.head_bytes = std::max(image::kDiskHeadBytes, disk::kQcow2HeadBytes);
  image::DiskKind kind = image::DiskKind::kNone;
  wanted.check_head = [&kind](std::string_view head) -> Result<void> {
    COCOON_TRY(check_head(head));
    kind = image::disk_kind(head);
    return {};
  };
  wanted.progress = bytes_to(progress);
  auto dir = work.path() / "disk";  // of its own: a program without rights will work in it
  COCOON_TRY(sys::make_dirs(dir, 0700));
  auto file = COCOON_TRY(download.fetch(web, wanted, dir / "input"), "download");
  image::ImageInput input;
  input.architecture = image::host_platform().architecture;
  input.digest = "sha256:" + file.sha256;
  input.disk = image::DiskInput{kind, file.sha256, dir / "input", file.size};
  return input;
}

Result<ImageReport> pull_from_url(Ports& ports, ImagePullRequest request,
                                  const ProgressSink& progress) {
  image::WebUrl url = COCOON_TRY(image::parse_url(request.reference));
  if (!request.platform.empty()) {
    return fail(ErrorKind::kInvalid, "--platform is for images of a registry");
  }
  image::WebClient web(ports.config);
  if (!request.checksum.empty()) {
    request.checksum =
        COCOON_TRY(image::resolve_checksum(web, request.checksum, request.reference));
  }
  // Another command may be fetching the very same; then there is nothing left to do.
  image::WaitNotice notice = notice_to(progress);
  image::UrlDownload download =
      COCOON_TRY(image::UrlDownload::claim(ports.paths, url.clean, notice));
  if (!request.force) {
    auto here = COCOON_TRY(whole_image(ports, url.clean));
    bool fits = here && (request.checksum.empty() || here->digest == "sha256:" + request.checksum);
    if (fits) return unchanged(std::move(*here));
  }
  image::WorkDir work = COCOON_TRY(image::WorkDir::create(ports.paths, "image pull"));
  auto input = COCOON_TRY(fetch_disk(ports, request, web, download, work, progress));
  image::BlobStore blobs(ports.db, ports.paths, &notice);
  auto made = convert_disk(blobs, work, *input.disk, progress);
  auto report = made ? commit_image(ports, url.clean, input, *made)
                     : Result<ImageReport>(pass(std::move(made).error()));
  if (report) {
    blobs.keep();
  } else {
    blobs.undo();
  }
  return report;
}

}  // namespace

Result<ImageReport> pull_image(Ports& ports, const ImagePullRequest& request,
                               const ProgressSink& progress) {
  std::mutex mutex;
  ProgressSink ordered = one_at_a_time(progress, mutex);
  bool is_url = image::is_url(request.reference);
  return COCOON_TRY(
      is_url ? pull_from_url(ports, request, ordered) : pull_from_registry(ports, request, ordered),
      "pull \"{}\"", request.reference);
}

}  // namespace cocoon::engine
