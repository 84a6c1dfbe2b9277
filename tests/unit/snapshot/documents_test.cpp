// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/documents.h"

#include <gtest/gtest.h>

namespace cocoon::snapshot {
namespace {

using nlohmann::json;

Sidecar sample() {
  Sidecar sidecar;
  model::Snapshot& snapshot = sidecar.snapshot;
  snapshot.id = std::string(26, 'A');
  snapshot.name = "base:1";
  snapshot.description = "as it was";
  snapshot.state = model::SnapshotState::kReady;
  snapshot.vm.hypervisor = "qemu";
  snapshot.vm.config.image = "busybox";
  snapshot.vm.config.image_digest = "sha256:00";
  snapshot.members = {{"cow.raw", model::MemberKind::kDisk, 10, std::string(64, 'a')}};
  sidecar.shared["layer0.erofs"] = {SharedSource::Home::kBlob, "abc-lz4", "layer", ""};
  sidecar.shared["kernel"] = {SharedSource::Home::kKernel, "f00", "", "vmlinux"};
  return sidecar;
}

TEST(Documents, EnvelopeIsTheOriginals) {
  std::string text = render_envelope(sample().snapshot);
  EXPECT_TRUE(
      text.starts_with("{\n  \"config\": {\n    \"cpu\": 2,\n    \"memory\": 1073741824,\n"));
  EXPECT_TRUE(text.ends_with("  },\n  \"version\": 1\n}\n"));
  json config = json::parse(text)["config"];
  EXPECT_EQ(config["name"], "base:1");
  EXPECT_EQ(config["hypervisor"], "qemu");
  for (const char* key : {"created_at", "pending", "data_dir", "members", "storage_configs"}) {
    EXPECT_FALSE(config.contains(key)) << key;
  }
  auto envelope = parse_envelope(text);
  ASSERT_TRUE(envelope) << envelope.error().to_string();
  EXPECT_EQ(envelope->name, "base:1");
  EXPECT_EQ(envelope->description, "as it was");
}

TEST(Documents, BadEnvelopes) {
  EXPECT_EQ(parse_envelope("").error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(parse_envelope("[]").error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(parse_envelope(R"({"config":{}})").error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(parse_envelope(R"({"config":{},"version":2})").error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(parse_envelope(R"({"config":{},"version":"1"})").error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(parse_envelope(R"({"config":[],"version":1})").error().kind, ErrorKind::kCorrupt);
  EXPECT_TRUE(parse_envelope(R"({"config":{"name":5},"version":1,"more":{}})"));
}

TEST(Documents, SidecarAndBack) {
  Sidecar sidecar = sample();
  json document = json::parse(render_sidecar(sidecar));
  EXPECT_TRUE(is_own_sidecar(document));
  auto back = parse_sidecar(document);
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_EQ(back->shared, sidecar.shared);
  EXPECT_EQ(back->snapshot.members, sidecar.snapshot.members);
  EXPECT_EQ(back->snapshot.description, "as it was");
  EXPECT_FALSE(back->kernel_object);
}

TEST(Documents, SidecarThatTheOriginalReadsToo) {
  Sidecar sidecar = sample();
  sidecar.original_form = true;
  json theirs = {{"storage_configs", json::array()}, {"boot_config", json::object()}};
  json document = json::parse(render_sidecar(sidecar, theirs));
  EXPECT_TRUE(is_own_sidecar(document));
  EXPECT_EQ(document["storage_configs"], json::array());
  auto back = parse_sidecar(document);
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_TRUE(back->original_form);
  EXPECT_EQ(back->shared, sidecar.shared);
  EXPECT_FALSE(parse_sidecar(json::parse(render_sidecar(sample())))->original_form);
}

TEST(Documents, BadSidecars) {
  json good = json::parse(render_sidecar(sample()));
  auto kind_with = [&](const char* key, const json& value) {
    json bad = good;
    bad[key] = value;
    auto parsed = parse_sidecar(bad);
    return parsed ? ErrorKind::kInternal : parsed.error().kind;
  };
  EXPECT_EQ(kind_with("format", 2), ErrorKind::kCorrupt);
  EXPECT_EQ(kind_with("vm", json::array()), ErrorKind::kCorrupt);
  EXPECT_EQ(kind_with("members", "x"), ErrorKind::kCorrupt);
  EXPECT_EQ(kind_with("state", "odd"), ErrorKind::kCorrupt);
  EXPECT_EQ(kind_with("shared", json::array({1})), ErrorKind::kCorrupt);
  EXPECT_EQ(kind_with("shared", {{"a", {{"home", "moon"}}}}), ErrorKind::kCorrupt);
  EXPECT_EQ(kind_with("shared", {{"a", 1}}), ErrorKind::kCorrupt);
  EXPECT_EQ(kind_with("kernel_object", json::array()), ErrorKind::kCorrupt);
  EXPECT_EQ(kind_with("form", 1), ErrorKind::kCorrupt);
  EXPECT_EQ(kind_with("form", "odd"), ErrorKind::kUnsupported);
  EXPECT_FALSE(is_own_sidecar(json::parse(R"({"storage_configs":[]})")));
}

TEST(Documents, DeepOrHugeTextsAreRefused) {
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  EXPECT_EQ(parse_document(deep, "it").error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(parse_document(std::string(kMaxDocument + 1, ' '), "it").error().kind,
            ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace cocoon::snapshot
