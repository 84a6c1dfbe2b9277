// SPDX-License-Identifier: Apache-2.0
#include "seed_fixture.h"

#include <stdlib.h>

#include "base/text.h"
#include "sys/files.h"
#include "sys/spawn.h"

namespace cocoon::cidata {
namespace {

constexpr Milliseconds kLimit(60'000);

constexpr const char* kReadYaml = R"(
import json, sys, yaml
def load(path):
    with open(path, encoding="ascii") as file:
        return yaml.safe_load(file)
def read(prefix, network):
    return {"meta": load(prefix + "meta-data"), "user": load(prefix + "user-data"),
            "network": load(prefix + "network-config") if network == "yes" else None}
json.dump([read(*pair) for pair in zip(sys.argv[1::2], sys.argv[2::2])], sys.stdout)
)";

// Python packages that scripts/test-assets has taken apart.
std::string unpacked_modules() {
  const char* cache = getenv("COCOON_CACHE");
  return std::string(cache == nullptr ? "/var/cache/cocoon-dev" : cache) +
         "/assets/cloud-init/usr/lib/python3/dist-packages";
}

sys::SpawnSpec spec_of(const std::string& program, const std::vector<std::string>& args) {
  sys::SpawnSpec spec;
  spec.program = program;
  spec.args = args;
  const char* path = getenv("PATH");
  spec.env = {std::string("PATH=") + (path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin"),
              "LC_ALL=C.UTF-8", "PYTHONPATH=" + unpacked_modules()};
  return spec;
}

nlohmann::json expected_user(const SeedValues& values) {
  nlohmann::json user = nlohmann::json::object();
  if (!values.password.empty()) {
    user["chpasswd"] = {{"expire", false}, {"list", {values.user + ":" + values.password}}};
    user["ssh_pwauth"] = true;
    if (values.user == "root") user["disable_root"] = false;
  }
  if (!values.user.empty() && values.user != "root") {
    user["users"] = {"default",
                     {{"name", values.user},
                      {"shell", "/bin/bash"},
                      {"no_user_group", true},
                      {"groups", {"sudo"}},
                      {"sudo", "ALL=(ALL) NOPASSWD:ALL"},
                      {"ssh_authorized_keys", values.ssh_keys}}};
  }
  for (const SeedMount& mount : values.mounts) {
    user["mounts"].push_back({"/dev/disk/by-id/virtio-" + mount.serial, mount.mount_point,
                              mount.fstype, "defaults,nofail", "0", "2"});
  }
  return user;
}

}  // namespace

SeedFixture::SeedFixture() {
  std::string path = (std::filesystem::temp_directory_path() / "cocoon-seed-XXXXXX").string();
  const char* made = mkdtemp(path.data());
  EXPECT_NE(made, nullptr);
  directory_ = path;
}

SeedFixture::~SeedFixture() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string SeedFixture::missing_program(const std::vector<std::string>& programs) {
  for (const std::string& program : programs) {
    if (!sys::find_program(program)) return program;
  }
  return "";
}

bool SeedFixture::has_module(const std::string& module) {
  return sys::find_program("python3") &&
         sys::run_program(spec_of("python3", {"-c", "import " + module}), kLimit).has_value();
}

std::filesystem::path SeedFixture::write(const std::string& name, const std::string& bytes) {
  std::filesystem::path path = directory_ / name;
  auto written = sys::write_file_atomic(path, bytes, 0600);
  EXPECT_TRUE(written) << written.error().to_string();
  return path;
}

std::string SeedFixture::run(const std::string& program, const std::vector<std::string>& args) {
  auto output = sys::run_program(spec_of(program, args), kLimit);
  EXPECT_TRUE(output) << output.error().to_string();
  return output ? *output : "";
}

nlohmann::json SeedFixture::run_python(const std::string& script,
                                       const std::vector<std::string>& args) {
  std::vector<std::string> all{"-c", script};
  all.insert(all.end(), args.begin(), args.end());
  std::string output = run("python3", all);
  nlohmann::json json = nlohmann::json::parse(last_lines(output, 1), nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << output;
  return json;
}

void SeedFixture::expect_good_disk(const SeedValues& values) {
  auto documents = render_documents(values);
  ASSERT_TRUE(documents) << documents.error().to_string();
  auto seed = render_seed(values);
  ASSERT_TRUE(seed) << seed.error().to_string();
  std::string disk = write("cidata.img", *seed).string();

  std::string fsck = run("fsck.fat", {"-n", disk});
  // fsck counts the label.
  std::string files = documents->network_config ? ": 4 files, " : ": 3 files, ";
  EXPECT_NE(fsck.find(files), std::string::npos) << fsck;
  std::string probed = run("blkid", {"-p", "-o", "export", disk});
  for (const char* fact : {"TYPE=vfat\n", "LABEL=CIDATA\n", "VERSION=FAT12\n"}) {
    EXPECT_NE(probed.find(fact), std::string::npos) << probed;
  }
  auto expect_file = [&](const std::string& name, const std::string& content) {
    if (content.size() < 60'000) {
      EXPECT_EQ(run("mtype", {"-i", disk, "::" + name}), content);
      return;
    }
    // run() keeps the last 64 KiB of an output only.
    std::string copy = write(name + ".read", "").string();
    run("mcopy", {"-n", "-o", "-i", disk, "::" + name, copy});
    auto bytes = sys::read_file(copy, content.size());
    ASSERT_TRUE(bytes) << bytes.error().to_string();
    EXPECT_TRUE(*bytes == content) << name;
  };
  expect_file("meta-data", documents->meta_data);
  expect_file("user-data", documents->user_data);
  if (documents->network_config) expect_file("network-config", *documents->network_config);
}

nlohmann::json SeedFixture::read_yaml(const std::vector<SeedValues>& all) {
  std::vector<std::string> args;
  for (const SeedValues& values : all) {
    auto documents = render_documents(values);
    EXPECT_TRUE(documents) << documents.error().to_string();
    if (!documents) return nullptr;
    std::string prefix = fmt::format("{}.", args.size());
    write(prefix + "user-data", documents->user_data);
    if (documents->network_config) write(prefix + "network-config", *documents->network_config);
    std::string meta = write(prefix + "meta-data", documents->meta_data);
    args.push_back(meta.substr(0, meta.size() - std::string_view("meta-data").size()));
    args.emplace_back(documents->network_config ? "yes" : "no");
  }
  return run_python(kReadYaml, args);
}

SeedValues sample_values(int mounts) {
  SeedValues values;
  values.instance_id = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  values.hostname = "web-1";
  values.user = "root";
  values.password = "cocoon";
  for (int i = 0; i < mounts; ++i) {
    values.mounts.push_back({fmt::format("data{}", i), fmt::format("/mnt/data{}", i), "ext4"});
  }
  values.nics = {{"02:00:00:00:00:01", "10.88.0.5", 16, "10.88.0.1"},
                 {"02:00:00:00:00:02", "", 0, ""}};
  values.dns = {"8.8.8.8", "1.1.1.1"};
  return values;
}

nlohmann::json expected_yaml(const SeedValues& values) {
  nlohmann::json all;
  all["meta"] = {{"instance-id", values.instance_id}, {"local-hostname", values.hostname}};
  all["user"] = expected_user(values);
  all["network"] = nullptr;
  return all;
}

}  // namespace cocoon::cidata
