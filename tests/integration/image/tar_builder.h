// SPDX-License-Identifier: Apache-2.0
// Tar archives made by hand for tests: exactly these bytes, hostile ones included.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cocoon::test {

struct TarItem {
  std::string name;
  char type = '0';  // ustar(5) typeflag
  std::string content;
  std::string link;
  unsigned mode = 0644;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::uint64_t mtime = 1'700'000'000;
  unsigned major = 0;
  unsigned minor = 0;
  std::map<std::string, std::string> pax;  // further pax records
};

TarItem file(std::string name, std::string content = "x\n", unsigned mode = 0644);
TarItem directory(std::string name, unsigned mode = 0755);
TarItem symlink(std::string name, std::string target);
TarItem hardlink(std::string name, std::string target);
TarItem device(std::string name, unsigned major, unsigned minor, char type = '3');
inline TarItem whiteout(std::string name) { return file(std::move(name), ""); }

// The archive with its two end blocks.
std::string tar(const std::vector<TarItem>& items);

// A layer with one directory and one file of this name.
std::string small_layer(const std::string& name);

std::string gzip(std::string_view bytes);
std::string zstd(std::string_view bytes);

// An image as `docker save` writes it; `config` is the image config without rootfs.
struct DockerOptions {
  std::vector<std::string> tags = {"test:latest"};
  std::string config = R"({"Cmd":["/bin/sh"],"Env":["PATH=/bin"]})";
  std::string architecture;  // empty: the host's
};
std::string docker_archive(const std::vector<std::string>& layers,
                           const DockerOptions& options = {});

// The files of an OCI layout by name.
struct OciOptions {
  std::string layer_type = "application/vnd.oci.image.layer.v1.tar";
  std::string compression;  // gzip, zstd, empty
  bool nested = false;      // the index points to an index with two platforms
  std::string architecture;
  std::string config = R"({"Entrypoint":["/init"]})";
};
std::map<std::string, std::string> oci_layout(const std::vector<std::string>& layers,
                                              const OciOptions& options = {});
// The same as an archive.
std::string tar_of(const std::map<std::string, std::string>& files);

}  // namespace cocoon::test
