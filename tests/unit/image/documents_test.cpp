// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/documents.h"

#include <gtest/gtest.h>

namespace cocoon::image {
namespace {

const std::string kHex(64, 'a');

std::string descriptor(const std::string& type, const std::string& more = "") {
  return R"({"mediaType":")" + type + R"(","digest":"sha256:)" + kHex + R"(","size":7)" + more +
         "}";
}

const std::string kConfigType = "application/vnd.oci.image.config.v1+json";

std::string manifest(const std::string& layer_type) {
  return R"({"schemaVersion":2,"config":)" + descriptor(kConfigType) + R"(,"layers":[)" +
         descriptor(layer_type) + "]}";
}

TEST(OciDocument, ReadsManifests) {
  auto document = parse_oci_document(manifest("application/vnd.oci.image.layer.v1.tar+zstd"));
  ASSERT_TRUE(document) << document.error().to_string();
  ASSERT_TRUE(document->manifest);
  EXPECT_EQ(document->manifest->layers[0].digest, kHex);
  EXPECT_EQ(document->manifest->layers[0].size, 7);
}

TEST(OciDocument, ReadsIndexes) {
  auto document = parse_oci_document(
      R"({"schemaVersion":2,"manifests":[)" +
      descriptor("application/vnd.oci.image.manifest.v1+json",
                 R"(,"platform":{"os":"linux","architecture":"amd64"},)"
                 R"("annotations":{"org.opencontainers.image.ref.name":"1.2"})") +
      "]}");
  ASSERT_TRUE(document) << document.error().to_string();
  ASSERT_EQ(document->manifests.size(), 1U);
  EXPECT_EQ(document->manifests[0].platform, (Platform{"linux", "amd64"}));
  EXPECT_EQ(document->manifests[0].names, std::vector<std::string>{"1.2"});
}

TEST(OciDocument, TakesTarLayersOnly) {
  for (const char* good :
       {"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}) {
    EXPECT_TRUE(parse_oci_document(manifest(good))) << good;
  }
  for (const char* bad : {"", "text/plain", "application/vnd.oci.image.layer.v1.tar+encrypted",
                          "application/vnd.oci.image.layer.v1.tarball",
                          "application/vnd.cncf.helm.chart.content.v1.tar"}) {
    auto result = parse_oci_document(manifest(bad));
    ASSERT_FALSE(result) << bad;
    EXPECT_EQ(result.error().kind, ErrorKind::kUnsupported) << bad;
  }
}

TEST(OciDocument, RefusesWhatItIsNot) {
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("7"), std::string("{"), std::string("{}"),
        deep, std::string(R"({"schemaVersion":"2"})"), std::string(R"({"manifests":{}})"),
        std::string(R"({"manifests":[{"digest":"sha256:xyz"}]})"),
        std::string(R"({"manifests":[{"digest":"sha256:../../../etc"}]})"),
        R"({"manifests":[{"digest":"sha256:)" + kHex + R"(","size":-1}]})",
        R"({"config":)" + descriptor(kConfigType) + "}"}) {
    auto result = parse_oci_document(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt) << result.error().to_string();
  }
  EXPECT_FALSE(parse_oci_document(std::string(kMaxDocument + 1, ' ')));
  auto old = parse_oci_document(R"({"schemaVersion":1})");
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().kind, ErrorKind::kUnsupported);
}

TEST(DockerManifest, Reads) {
  auto images = parse_docker_manifest(
      R"([{"Config":"c.json","RepoTags":["a:1"],"Layers":["x/layer.tar"]},{"Config":"d","RepoTags":null,"Layers":[]}])");
  ASSERT_TRUE(images) << images.error().to_string();
  EXPECT_EQ((*images)[0].config, "c.json");
  EXPECT_EQ((*images)[0].tags, std::vector<std::string>{"a:1"});
  EXPECT_EQ((*images)[0].layers, std::vector<std::string>{"x/layer.tar"});
  EXPECT_TRUE((*images)[1].tags.empty());
}

TEST(DockerManifest, RefusesWhatItIsNot) {
  for (const char* text : {"", "{}", "[]", "[7]", R"([{"Config":7}])", R"([{"Layers":["x"]}])",
                           R"([{"Config":"c","Layers":"x"}])"}) {
    EXPECT_FALSE(parse_docker_manifest(text)) << text;
  }
}

TEST(ImageDocument, Reads) {
  auto image = parse_image_document(
      R"({"architecture":"amd64","os":"linux","config":{"Env":["A=b"],"Cmd":["sh","-c","x"],
      "Entrypoint":null,"WorkingDir":"/w","User":"1:2","Labels":{"k":"v"}},
      "rootfs":{"type":"layers","diff_ids":["sha256:)" +
      kHex + R"("]}})");
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_EQ(image->platform, (Platform{"linux", "amd64"}));
  EXPECT_EQ(image->diff_ids, std::vector<std::string>{kHex});
  EXPECT_EQ(image->config.cmd, (std::vector<std::string>{"sh", "-c", "x"}));
  EXPECT_TRUE(image->config.entrypoint.empty());
  EXPECT_EQ(image->config.labels[0].first, "k");
}

TEST(ImageDocument, RefusesWhatItIsNot) {
  for (const char* text :
       {"{}", R"({"rootfs":{}})", R"({"rootfs":{"diff_ids":[]}})",
        R"({"rootfs":{"diff_ids":["sha256:../../../../canary"]}})",
        R"({"rootfs":{"diff_ids":[7]}})", R"({"config":[],"rootfs":{"diff_ids":[]}})",
        R"({"config":{"Env":["A\u0000B"]},"rootfs":{"diff_ids":[]}})",
        R"({"config":{"Labels":{"a":7}}})"}) {
    EXPECT_FALSE(parse_image_document(text)) << text;
  }
}

Descriptor offer(std::string digest, std::optional<Platform> platform) {
  Descriptor out;
  out.digest = std::move(digest);
  out.platform = std::move(platform);
  return out;
}

TEST(Platforms, TheFirstThatFitsIsChosen) {
  std::vector<Descriptor> all{
      offer("note", Platform{"unknown", "unknown"}),    offer("s390x", Platform{"linux", "s390x"}),
      offer("v7", Platform{"linux", "arm", "v7"}),      offer("v6", Platform{"linux", "arm", "v6"}),
      offer("amd64", Platform{"linux", "amd64", "v3"}), offer("later", Platform{"linux", "amd64"})};
  auto chosen = [&](const Platform& platform) {
    auto manifest = choose_manifest(all, platform);
    return manifest ? manifest->digest : manifest.error().to_string();
  };
  EXPECT_EQ(chosen({"linux", "amd64"}), "amd64");
  EXPECT_EQ(chosen({"linux", "arm"}), "v7");
  EXPECT_EQ(chosen({"linux", "arm", "v6"}), "v6");
  EXPECT_EQ(chosen({"linux", "arm", "v5"}),
            "the image is not made for linux/arm/v5, only for linux/s390x, linux/arm/v7, "
            "linux/arm/v6, linux/amd64/v3, linux/amd64");
  // One that does not say counts as the commonest of all.
  all = {offer("unsaid", std::nullopt)};
  EXPECT_EQ(chosen({"linux", "amd64"}), "unsaid");
  EXPECT_EQ(choose_manifest(all, {"linux", "arm64"}).error().kind, ErrorKind::kUnsupported);
  EXPECT_FALSE(choose_manifest({}, {"linux", "amd64"}));
}

TEST(Platforms, AsTyped) {
  auto typed = parse_platform("linux/aarch64/v8");
  ASSERT_TRUE(typed);
  EXPECT_EQ(to_text(*typed), "linux/arm64/v8");
  EXPECT_EQ(to_text(*parse_platform("linux/x86_64")), "linux/amd64");
  for (const char* text :
       {"", "linux", "linux/", "/amd64", "a/b/c/d", "linux/AMD64", "linux/../x"}) {
    EXPECT_FALSE(parse_platform(text)) << text;
  }
}

}  // namespace
}  // namespace cocoon::image
