// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/convert.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/units.h"
#include "image/acquire/digest.h"
#include "image/acquire/kernel_unpack.h"
#include "image/acquire/layer_stage.h"
#include "image/acquire/tar_scan.h"
#include "sys/cancel.h"
#include "sys/fault.h"

namespace cocoon::image {
namespace {

constexpr std::string_view kStash = "boot";

class Converter {
 public:
  Converter(BlobStore& blobs, const ConvertSettings& settings, const ProgressSink& progress)
      : blobs_(blobs), settings_(settings), progress_(progress) {}

  Result<std::vector<BlobLease>> layers(const std::vector<LayerInput>& inputs);
  Result<std::vector<BlobLease>> merged(const std::vector<LayerInput>& inputs,
                                        const std::string& chain);
  Result<BlobLease> boot_file(const model::BootEntry& entry, const std::vector<LayerInput>& inputs,
                              bool are_merged);
  Result<std::optional<BlobLease>> vmlinux(const BlobLease& kernel);

 private:
  using Stage = std::function<Result<StagingTree>(const sys::fs::path& dir)>;

  Result<void> prepare();
  Result<void> fetch_missing(const std::vector<LayerInput>& inputs, const std::string& chain);
  Result<void> check_space(const LayerInput& input) const;
  ErofsJob job_for(const BlobStore::Order& order, const sys::fs::path& dir,
                   const std::string& digest, std::int64_t newest) const;
  Result<BlobLease> layer(const LayerInput& input);
  Result<BlobLease> layer_or_cause(const LayerInput& input);
  Result<std::optional<BlobLease>> direct(const LayerInput& input);
  Result<BlobLease> convert(const std::string& digest, std::string_view infix,
                            std::string_view kind, const Stage& stage);
  Result<void> restage(const std::string& sha256, const std::vector<LayerInput>& inputs,
                       bool are_merged);
  sys::fs::path stash() const { return settings_.work / kStash; }

  BlobStore& blobs_;
  const ConvertSettings& settings_;
  const ProgressSink& progress_;
  std::mutex mutex_;  // of tool_ and progress_
  std::optional<ErofsTool> tool_;
};

// Looks at the host before the first conversion, and only then.
Result<void> Converter::prepare() {
  std::lock_guard guard(mutex_);
  if (tool_) return {};
  COCOON_TRY(StagingTree::check_host(settings_.work));
  ErofsTool tool = COCOON_TRY(probe_erofs(settings_.compression));
  COCOON_TRY(sys::make_dirs(stash(), 0700));
  tool_ = std::move(tool);
  return {};
}

ErofsJob Converter::job_for(const BlobStore::Order& order, const sys::fs::path& dir,
                            const std::string& digest, std::int64_t newest) const {
  ErofsJob job;
  job.output = order.file;
  job.work = dir;
  job.uuid = uuid_v5(digest);
  job.newest = newest;
  job.keep_open = {order.lock_fd, settings_.work_lock_fd};
  return job;
}

Result<BlobLease> Converter::convert(const std::string& digest, std::string_view infix,
                                     std::string_view kind, const Stage& stage) {
  auto there = COCOON_TRY(blobs_.find_like(fmt::format("{}-{}", digest, infix), kind));
  if (there) return std::move(*there);
  COCOON_TRY(prepare());
  model::Blob blob;
  blob.converter = tool_->staged_id();
  blob.id = fmt::format("{}-{}{}", digest, infix, blob.converter);
  blob.kind = kind;
  auto make = [&](const BlobStore::Order& order, model::Blob& made) -> Result<void> {
    sys::TempDir dir = COCOON_TRY(sys::TempDir::create(settings_.work, "stage-"));
    StagingTree tree = COCOON_TRY(stage(dir.path() / "rootfs"));
    made.boot = COCOON_TRY(scan_boot_entries(tree.root_fd()));
    ErofsJob job = job_for(order, dir.path(), digest, tree.newest());
    COCOON_TRY(build_erofs(*tool_, job, tree.path()));
    sys::side_effect("make erofs");
    COCOON_TRY(stash_boot_files(tree.root_fd(), made.boot, stash()));
    made.tool = tool_->name();
    made.uuid = job.uuid;
    made.root_opaque = tree.root_opaque();
    return {};
  };
  return blobs_.ensure(std::move(blob), settings_.work, make);
}

// By mkfs.erofs' own tar reader; nullopt when the layer has to be staged.
Result<std::optional<BlobLease>> Converter::direct(const LayerInput& input) {
  TarScan scan = COCOON_TRY(scan_layer_tar(input, settings_.limits, stash()));
  if (!scan.obstacle.empty()) {
    log_debug("{}: staged because of {}", input.label, scan.obstacle);
    return std::optional<BlobLease>();
  }
  model::Blob blob;
  blob.converter = tool_->tar_id();
  blob.id = fmt::format("{}-{}", input.diff_id, blob.converter);
  blob.kind = "layer";
  auto make = [&](const BlobStore::Order& order, model::Blob& made) -> Result<void> {
    sys::TempDir dir = COCOON_TRY(sys::TempDir::create(settings_.work, "tar-"));
    ErofsJob job = job_for(order, dir.path(), input.diff_id, scan.newest);
    job.inodes = scan.inodes;
    auto stream = COCOON_TRY(LayerStream::open(input, settings_.limits.bytes));
    COCOON_TRY(build_erofs_from_tar(*tool_, job, *stream));
    COCOON_TRY(stream->verify());
    sys::side_effect("make erofs");
    made.boot = scan.boot;
    made.tool = tool_->name();
    made.uuid = job.uuid;
    made.root_opaque = scan.root_opaque;
    return {};
  };
  auto lease = blobs_.ensure(std::move(blob), settings_.work, make);
  if (lease) return std::optional<BlobLease>(std::move(*lease));
  const Error& error = lease.error();
  bool its_own = error.kind == ErrorKind::kInternal ||
                 (error.kind == ErrorKind::kSystem && error.saved_errno == 0);
  if (!its_own) return pass(std::move(lease).error());
  log_debug("{}: staged because of {}", input.label, error.to_string());
  return std::optional<BlobLease>();
}

// Unpacked and converted it takes twice its size at worst; better said now than at the end.
Result<void> Converter::check_space(const LayerInput& input) const {
  std::int64_t free = COCOON_TRY(sys::free_bytes(settings_.work));
  if (input.least_size <= free / 2) return {};
  return fail_errno(ENOSPC, fmt::format("{} free for a layer of {}", human_size(free),
                                        human_size(input.least_size)));
}

// Lets layers come in whose blobs are not there; `chain` when they become one. Claimed first: what
// another pull has fetched and converted in between would else be fetched again.
Result<void> Converter::fetch_missing(const std::vector<LayerInput>& inputs,
                                      const std::string& chain) {
  for (const LayerInput& input : inputs) {
    if (input.claim) COCOON_TRY(input.claim(), "{}", input.label);
  }
  for (const LayerInput& input : inputs) {
    if (!input.claim) continue;
    auto there = COCOON_TRY(chain.empty() ? blobs_.find_like(input.diff_id + "-", "layer")
                                          : blobs_.find_like(chain + "-m-", "merged"));
    if (there) {
      input.release();
    } else {
      input.start();
    }
  }
  return {};
}

Result<BlobLease> Converter::layer(const LayerInput& input) {
  auto there = COCOON_TRY(blobs_.find_like(input.diff_id + "-", "layer"));
  if (there) return std::move(*there);
  COCOON_TRY(check_space(input));
  COCOON_TRY(prepare());
  if (tool_->has_tar) {
    auto lease = COCOON_TRY(direct(input));
    if (lease) return std::move(*lease);
  }
  return convert(input.diff_id, "", "layer", [&](const sys::fs::path& dir) {
    return stage_layer(input, dir, settings_.limits);
  });
}

// Damage that a layer shows may be that of its download: who sent other bytes than he promised is
// the cause, not what could be made of them (spec 02 §17 B11).
std::optional<Error> download_error(const LayerInput& input) {
  if (!input.claim) return std::nullopt;
  auto source = input.open();
  auto read = source ? drain(**source) : Result<void>(pass(std::move(source).error()));
  if (read) return std::nullopt;
  return std::move(read).error();
}

Result<BlobLease> Converter::layer_or_cause(const LayerInput& input) {
  auto lease = layer(input);
  if (lease || lease.error().kind != ErrorKind::kCorrupt) return lease;
  auto cause = download_error(input);
  return cause ? Result<BlobLease>(pass(std::move(*cause))) : std::move(lease);
}

Result<std::vector<BlobLease>> Converter::layers(const std::vector<LayerInput>& inputs) {
  COCOON_TRY(fetch_missing(inputs, ""));
  std::vector<std::optional<BlobLease>> found(inputs.size());
  std::atomic<std::size_t> next{0};
  std::size_t done = 0;
  std::optional<Error> error;
  auto work = [&] {
    while (true) {
      std::size_t index = next.fetch_add(1);
      if (index >= inputs.size()) return;
      auto lease = layer_or_cause(inputs[index]);
      if (lease && inputs[index].release) inputs[index].release();
      std::lock_guard guard(mutex_);
      if (!lease) {
        next = inputs.size();  // no new layer; those in work end by themselves
        if (!error) error = pass(std::move(lease).error(), inputs[index].label).value();
        return;
      }
      progress_({"layer", ++done, inputs.size(),
                 fmt::format("{}: {}", inputs[index].label,
                             lease->made ? "converted" : "already there")});
      found[index] = std::move(*lease);
    }
  };
  std::vector<std::thread> threads;
  std::size_t count = std::min(settings_.threads, inputs.size());
  for (std::size_t i = 1; i < count; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (error) return pass(std::move(*error));
  std::vector<BlobLease> leases;
  for (auto& lease : found) leases.push_back(std::move(*lease));
  return leases;
}

Result<std::vector<BlobLease>> Converter::merged(const std::vector<LayerInput>& inputs,
                                                 const std::string& chain) {
  COCOON_TRY(fetch_missing(inputs, chain));
  auto made = convert(chain, "m-", "merged", [&](const sys::fs::path& dir) {
    return stage_merged(inputs, dir, settings_.limits);
  });
  for (const LayerInput& input : inputs) {
    if (made || made.error().kind != ErrorKind::kCorrupt) break;
    if (auto cause = download_error(input)) return pass(std::move(*cause), input.label);
  }
  BlobLease lease = COCOON_TRY(std::move(made));
  for (const LayerInput& input : inputs) {
    if (input.release) input.release();
  }
  progress_({"merge", inputs.size(), inputs.size(),
             fmt::format("{} layers in one file system: {}", inputs.size(),
                         lease.made ? "converted" : "already there")});
  std::vector<BlobLease> leases;
  leases.push_back(std::move(lease));
  return leases;
}

// Unpacks again the layer that holds a boot file: its blob was there already, the file's was not.
Result<void> Converter::restage(const std::string& sha256, const std::vector<LayerInput>& inputs,
                                bool are_merged) {
  COCOON_TRY(prepare());
  auto keep = [&](const Stage& stage) -> Result<bool> {
    sys::TempDir dir = COCOON_TRY(sys::TempDir::create(settings_.work, "stage-"));
    StagingTree tree = COCOON_TRY(stage(dir.path() / "rootfs"));
    auto entries = COCOON_TRY(scan_boot_entries(tree.root_fd()));
    COCOON_TRY(stash_boot_files(tree.root_fd(), entries, stash()));
    return sys::exists(stash() / sha256);
  };
  if (are_merged) {
    COCOON_TRY(keep(
        [&](const sys::fs::path& dir) { return stage_merged(inputs, dir, settings_.limits); }));
    return {};
  }
  for (auto input = inputs.rbegin(); input != inputs.rend(); ++input) {
    bool found = COCOON_TRY(
        keep([&](const sys::fs::path& dir) { return stage_layer(*input, dir, settings_.limits); }));
    if (found) return {};
  }
  return {};
}

Result<BlobLease> Converter::boot_file(const model::BootEntry& entry,
                                       const std::vector<LayerInput>& inputs, bool are_merged) {
  model::Blob blob;
  blob.id = "boot-" + entry.sha256;
  blob.kind = "boot";
  auto kept = stash() / entry.sha256;
  auto make = [&](const BlobStore::Order& order, model::Blob&) -> Result<void> {
    if (!sys::exists(kept)) COCOON_TRY(restage(entry.sha256, inputs, are_merged));
    return sys::rename_path(kept, order.file);
  };
  auto lease =
      COCOON_TRY(blobs_.ensure(std::move(blob), settings_.work, make), "keep {}", entry.path);
  if (lease.blob.sha256 != entry.sha256) {
    return fail(ErrorKind::kInternal, "{} changed on its way", entry.path);
  }
  return lease;
}

// Unpacks the image's kernel for VMMs that take no compressed one. The others boot it as it is, so
// a kernel that cannot be unpacked is no reason to refuse the image.
Result<std::optional<BlobLease>> Converter::vmlinux(const BlobLease& kernel) {
  model::Blob blob;
  blob.id = "vmlinux-" + kernel.blob.sha256;
  blob.kind = "boot";
  if (auto there = COCOON_TRY(blobs_.find(blob.id))) return there;
  constexpr std::size_t kMaxKernel = std::size_t{1} << 30;
  std::string packed = COCOON_TRY(sys::read_file(blobs_.file(kernel.blob), kMaxKernel));
  bool is_elf = check_vmlinux(packed).has_value();
  auto unpacked = is_elf ? Result<std::string>(std::move(packed)) : unpack_kernel(packed);
  if (!unpacked) {
    log_debug("the image's kernel is not unpacked: {}", unpacked.error().to_string());
    return std::optional<BlobLease>();
  }
  auto make = [&](const BlobStore::Order& order, model::Blob&) -> Result<void> {
    return sys::write_file_atomic(order.file, *unpacked, 0444);
  };
  return std::optional<BlobLease>(
      COCOON_TRY(blobs_.ensure(std::move(blob), settings_.work, make), "unpack the kernel"));
}

}  // namespace

ConvertSettings convert_settings(const model::Config& config, const WorkDir& work) {
  ConvertSettings settings;
  settings.limits = {config.max_layer_bytes, config.max_layer_entries};
  settings.compression = config.erofs_compression;
  int threads = config.pool_size > 0 ? config.pool_size
                                     : static_cast<int>(std::thread::hardware_concurrency());
  settings.threads = static_cast<std::size_t>(std::max(1, threads));
  settings.work = work.path();
  settings.work_lock_fd = work.lock_fd();
  return settings;
}

std::vector<LayerInput> without_duplicates(const std::vector<LayerInput>& layers) {
  std::vector<LayerInput> out;
  std::set<std::string> seen;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    if (seen.insert(layer->diff_id).second) out.push_back(*layer);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

Result<ImageBlobs> convert_image(BlobStore& blobs, const ConvertSettings& settings,
                                 const ImageInput& input, const ProgressSink& progress) {
  Converter converter(blobs, settings, progress);
  auto inputs = without_duplicates(input.layers);
  bool are_merged = inputs.size() > kMostDisks;
  std::vector<std::string> diff_ids;
  for (const LayerInput& layer : input.layers) diff_ids.push_back(layer.diff_id);
  ImageBlobs out;
  out.disks = are_merged ? COCOON_TRY(converter.merged(inputs, chain_id(diff_ids)))
                         : COCOON_TRY(converter.layers(inputs));
  // A layer that hides everything below is simply the lowest one (spec 02 §13.3).
  for (std::size_t i = out.disks.size(); i-- > 1;) {
    if (!out.disks[i].blob.root_opaque) continue;
    out.disks.erase(out.disks.begin(), out.disks.begin() + static_cast<std::ptrdiff_t>(i));
    break;
  }
  std::vector<std::vector<model::BootEntry>> entries;
  for (const BlobLease& disk : out.disks) entries.push_back(disk.blob.boot);
  out.boot = COCOON_TRY(choose_boot_files(entries));
  if (!out.boot) return out;
  out.kernel = COCOON_TRY(converter.boot_file(out.boot->kernel, inputs, are_merged));
  out.initrd = COCOON_TRY(converter.boot_file(out.boot->initrd, inputs, are_merged));
  out.vmlinux = COCOON_TRY(converter.vmlinux(*out.kernel));
  return out;
}

}  // namespace cocoon::image
