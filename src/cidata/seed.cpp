// SPDX-License-Identifier: Apache-2.0
#include "cidata/seed.h"

#include "cidata/cloud_config.h"
#include "cidata/fat_image.h"
#include "cidata/guest_agent.h"
#include "cidata/network_config.h"
#include "cidata/user_data.h"
#include "cidata/yaml_scalar.h"

namespace cocoon::cidata {
namespace {

constexpr std::string_view kLabel = "CIDATA";

Result<std::string> render_meta_data(const SeedValues& values) {
  if (values.instance_id.empty()) return fail(ErrorKind::kInvalid, "the instance id is empty");
  if (values.hostname.empty()) return fail(ErrorKind::kInvalid, "the host name is empty");
  std::string id = COCOON_TRY(yaml_quoted(values.instance_id), "instance id");
  std::string name = COCOON_TRY(yaml_quoted(values.hostname), "host name");
  return fmt::format("instance-id: {}\nlocal-hostname: {}\n", id, name);
}

// FNV-1a, 32 bits.
std::uint32_t volume_serial(std::string_view text) {
  std::uint32_t hash = 0x811c9dc5;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193U;
  return hash;
}

}  // namespace

std::vector<SeedMount> seed_mounts(const std::vector<model::Disk>& disks) {
  std::vector<SeedMount> mounts;
  for (const model::Disk& disk : disks) {
    bool formatted = !disk.fstype.empty() && disk.fstype != "none";
    if (disk.role == model::DiskRole::kData && formatted && !disk.mount_point.empty()) {
      mounts.push_back({disk.serial, disk.mount_point, disk.fstype});
    }
  }
  return mounts;
}

Result<Documents> render_documents(const SeedValues& values) {
  Documents documents;
  documents.meta_data = COCOON_TRY(render_meta_data(values), "render meta-data");
  CloudConfig config = COCOON_TRY(render_cloud_config(values), "render user-data");
  documents.user_data = COCOON_TRY(merge_user_data(config, values.user_data), "render user-data");
  documents.network_config =
      COCOON_TRY(render_network_config(values.nics, values.dns), "render network-config");
  return documents;
}

Result<std::string> render_seed(const SeedValues& values) {
  Documents documents = COCOON_TRY(render_documents(values));
  std::vector<FatFile> files = {{"meta-data", std::move(documents.meta_data)},
                                {"user-data", std::move(documents.user_data)}};
  if (documents.network_config) {
    files.push_back({"network-config", *std::move(documents.network_config)});
  }
  if (!values.agent_program.empty()) {
    files.push_back({kAgentFile, values.agent_program});
    files.push_back({kAgentUnitFile, render_agent_unit()});
  }
  FatVolume volume{std::string(kLabel), volume_serial(values.instance_id), 0};
  volume.size = COCOON_TRY(fat_size_for(files), "make the NoCloud disk");
  return COCOON_TRY(render_fat_image(volume, std::move(files)), "make the NoCloud disk");
}

}  // namespace cocoon::cidata
