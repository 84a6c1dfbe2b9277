// SPDX-License-Identifier: Apache-2.0
// What is pure about registries and web servers: headers, accounts, endpoints, indexes, URLs.
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "image/acquire/digest.h"
#include "image/acquire/remote/checksum.h"
#include "image/acquire/remote/credentials.h"
#include "image/acquire/remote/headers.h"
#include "image/acquire/remote/registry.h"
#include "image/acquire/remote/remote_image.h"

namespace cocoon::image {
namespace {

constexpr const char* kHex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

TEST(Challenges, OneAndSeveral) {
  auto one = parse_challenges(
      R"(Bearer realm="https://auth.example/token",service="a \"b\"",scope="repository:x:pull,push")");
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].scheme, "bearer");
  EXPECT_EQ(one[0].parameters.at("realm"), "https://auth.example/token");
  EXPECT_EQ(one[0].parameters.at("service"), "a \"b\"");
  EXPECT_EQ(one[0].parameters.at("scope"), "repository:x:pull,push");
  auto two = parse_challenges(R"(Negotiate abc==, BASIC Realm = "x", Bearer realm=y)");
  ASSERT_EQ(two.size(), 3U);
  EXPECT_EQ(two[1].scheme, "basic");
  EXPECT_EQ(two[1].parameters.at("realm"), "x");
  EXPECT_EQ(two[2].parameters.at("realm"), "y");
  EXPECT_TRUE(parse_challenges("").empty());
  EXPECT_TRUE(parse_challenges("\"").empty());
  EXPECT_EQ(parse_challenges("Bearer realm=\"unclosed")[0].parameters.at("realm"), "unclosed");
}

TEST(ContentRanges, GoodAndBad) {
  EXPECT_EQ(parse_content_range("bytes 0-99/1234"), (ContentRange{0, 99, 1234}));
  EXPECT_EQ(parse_content_range(" Bytes 5-5/* "), (ContentRange{5, 5, -1}));
  for (const char* text :
       {"", "bytes", "bytes */10", "bytes 5-4/10", "bytes 0-10/10", "bytes -1-2/3",
        "bytes 0-1/99999999999999999999", "items 0-1/2", "bytes 0/1-2"}) {
    EXPECT_FALSE(parse_content_range(text)) << text;
  }
}

TEST(Checksums, ListsAsShaSumWritesThem) {
  std::string hex = kHex;
  std::string list = "# a comment\n" + std::string(64, '0') + "  other.img\r\n" + hex +
                     " *./disk.img\r\nnonsense disk.img\n";
  EXPECT_EQ(**find_checksum(list, "disk.img"), hex);
  EXPECT_EQ(**find_checksum("SHA256 (disk (1).img) = " + hex, "disk (1).img"), hex);
  EXPECT_FALSE(*find_checksum(list, "nosuch.img"));
  EXPECT_FALSE(find_checksum(list + std::string(64, '1') + "  disk.img", "disk.img"));
  EXPECT_EQ(checksum_digits("sha256:" + hex), hex);
  EXPECT_EQ(checksum_digits("sha256:12"), "");
  EXPECT_TRUE(check_checksum("https://example.org/SHA256SUMS"));
  EXPECT_FALSE(check_checksum("md5:00"));
}

TEST(Tokens, TheSecondOneWins) {
  EXPECT_EQ(*parse_token(R"({"token":"a","access_token":"b"})"), "b");
  EXPECT_EQ(*parse_token(R"({"token":"a"})"), "a");
  for (const char* text :
       {"", "[]", "{}", R"({"token":7})", R"({"token":"a b"})", R"({"token":"a\r\nX: y"})"}) {
    EXPECT_FALSE(parse_token(text)) << text;
  }
}

TEST(RegistryErrors, AreQuoted) {
  EXPECT_EQ(registry_error_text(R"({"errors":[{"code":"DENIED","message":"no"}]})"), "DENIED: no");
  EXPECT_EQ(registry_error_text("<html>"), "");
  EXPECT_EQ(registry_error_text(R"({"errors":[7]})"), "");
}

Credentials stored(const std::string& text, std::string_view registry,
                   std::string_view repository) {
  auto login = find_login(text, login_keys(registry, repository));
  EXPECT_TRUE(login) << login.error().to_string();
  return login && *login ? (*login)->credentials : Credentials{};
}

TEST(Logins, TheClosestKeyCounts) {
  std::string file = R"({"auths":{
    "h:1":{"auth":"aG9zdDpwdw=="},
    "h:1/team":{"username":"team","password":"p"},
    "https://other.example/v1/":{"auth":"b3RoZXI6YTpi"},
    "https://index.docker.io/v1/":{"identitytoken":"idt"},
    "empty.example":{}}})";
  EXPECT_EQ(stored(file, "h:1", "x").user, "host");
  EXPECT_EQ(stored(file, "h:1", "team/app").user, "team");
  EXPECT_EQ(stored(file, "h:1", "teams/app").user, "host");
  EXPECT_EQ(stored(file, "other.example", "x").password, "a:b");
  EXPECT_EQ(stored(file, "index.docker.io", "library/x").identity_token, "idt");
  EXPECT_TRUE(stored(file, "empty.example", "x").empty());
  EXPECT_TRUE(stored(file, "nosuch.example", "x").empty());
}

TEST(Logins, Helpers) {
  std::string file = R"({"credHelpers":{"h:1":"one"},"credsStore":"all","auths":{}})";
  auto one = find_login(file, login_keys("h:1", "a/b"));
  ASSERT_TRUE(one && *one);
  EXPECT_EQ((*one)->helper, "one");
  EXPECT_EQ((*one)->key, "h:1");
  auto all = find_login(file, login_keys("other.example", "a/b"));
  ASSERT_TRUE(all && *all);
  EXPECT_EQ((*all)->helper, "all");
  EXPECT_EQ((*all)->key, "other.example");
  EXPECT_FALSE(find_login(R"({"credHelpers":{"h:1":"../x"}})", login_keys("h:1", "a")));
  EXPECT_FALSE(find_login("[]", {}));
  EXPECT_FALSE(find_login(R"({"auths":{"h:1":{"auth":"!"}}})", login_keys("h:1", "a")));
  EXPECT_EQ(parse_helper_answer(R"({"Username":"<token>","Secret":"s"})")->identity_token, "s");
  EXPECT_EQ(parse_helper_answer(R"({"Username":"u","Secret":"s"})")->password, "s");
  EXPECT_FALSE(parse_helper_answer("credentials"));
}

std::vector<std::string> bases(const model::Config& config, const char* reference) {
  std::vector<std::string> out;
  auto parsed = parse_reference(reference);
  if (!parsed) return {"no reference"};
  auto endpoints = find_endpoints(config, *parsed);
  if (!endpoints) return {endpoints.error().to_string()};
  for (const Endpoint& endpoint : *endpoints) {
    out.push_back(endpoint.base + (endpoint.verify ? "" : " unverified"));
  }
  return out;
}

using Texts = std::vector<std::string>;

TEST(Endpoints, PlainHttpOnlyWhereItIsAllowed) {
  model::Config config;
  EXPECT_EQ(bases(config, "ubuntu"), Texts{"https://registry-1.docker.io/v2/library/ubuntu"});
  EXPECT_EQ(bases(config, "reg.example/aa"), Texts{"https://reg.example/v2/aa"});
  EXPECT_EQ(bases(config, "10.0.0.5:5000/aa"), Texts{"https://10.0.0.5:5000/v2/aa"});
  for (const char* local : {"localhost:5000/aa", "127.0.0.1:5000/aa"}) {
    EXPECT_EQ(bases(config, local).size(), 2U) << local;
  }
  config.insecure_registries = "10.0.0.5:5000, *.lab.example";
  EXPECT_EQ(bases(config, "10.0.0.5:5000/aa"),
            (Texts{"https://10.0.0.5:5000/v2/aa unverified", "http://10.0.0.5:5000/v2/aa"}));
  EXPECT_EQ(bases(config, "x.lab.example:1/aa").size(), 2U);
  EXPECT_EQ(bases(config, "10.0.0.5:5001/aa").size(), 1U);
  EXPECT_EQ(bases(config, "lab.example/aa").size(), 1U);
}

TEST(Endpoints, MirrorsComeFirst) {
  model::Config config;
  config.registry_mirrors =
      "docker.io=mirror.example/hub/, docker.io=http://m2.example:80,x.example=y.example";
  EXPECT_EQ(bases(config, "ubuntu"), (Texts{"https://mirror.example/v2/hub/library/ubuntu",
                                            "http://m2.example:80/v2/library/ubuntu",
                                            "https://registry-1.docker.io/v2/library/ubuntu"}));
  EXPECT_EQ(bases(config, "other.example/aa").size(), 1U);
  for (const char* bad : {"nonsense", "=x", "docker.io=", "docker.io=a b"}) {
    config.registry_mirrors = bad;
    EXPECT_FALSE(find_endpoints(config, *parse_reference("ubuntu"))) << bad;
  }
}

// A registry of documents: their digests name them, and "tag" names the first one.
class Documents {
 public:
  std::string add(const nlohmann::json& document) {
    std::string text = document.dump();
    std::string digest = "sha256:" + sha256_hex(text);
    if (texts_.empty()) texts_["tag"] = text;
    texts_[digest] = text;
    sizes_[digest] = static_cast<std::int64_t>(text.size());
    return digest;
  }
  void name(const std::string& digest) { texts_["tag"] = texts_.at(digest); }
  nlohmann::json child(const std::string& digest, const char* architecture) const {
    return {{"mediaType", "x"},
            {"digest", digest},
            {"size", sizes_.at(digest)},
            {"platform", {{"os", "linux"}, {"architecture", architecture}}}};
  }
  Result<ResolvedImage> resolve() const {
    auto fetch = [this](const std::string& reference) -> Result<ManifestText> {
      auto found = texts_.find(reference);
      if (found == texts_.end()) return fail(ErrorKind::kNotFound, "no {}", reference);
      return ManifestText{found->second, sha256_hex(found->second)};
    };
    return resolve_image(fetch, "tag", {"linux", "amd64"});
  }

 private:
  std::map<std::string, std::string> texts_;
  std::map<std::string, std::int64_t> sizes_;
};

nlohmann::json manifest(const char* mark) {
  std::string digest = std::string("sha256:") + kHex;
  nlohmann::json layer = {{"mediaType", "application/vnd.oci.image.layer.v1.tar+gzip"},
                          {"digest", digest},
                          {"size", 5}};
  return {{"schemaVersion", 2},
          {"config",
           {{"mediaType", "application/vnd.oci.image.config.v1+json"},
            {"digest", digest},
            {"size", 7}}},
          {"layers", {layer}},
          {"annotations", {{"mark", mark}}}};
}

nlohmann::json index(nlohmann::json children) {
  return {{"schemaVersion", 2}, {"manifests", std::move(children)}};
}

TEST(Resolve, FollowsIndexes) {
  Documents documents;
  std::string here = documents.add(manifest("here"));
  std::string there = documents.add(manifest("there"));
  std::string inner = documents.add(index({documents.child(here, "amd64")}));
  documents.name(
      documents.add(index({documents.child(there, "arm64"), documents.child(inner, "amd64")})));
  auto image = documents.resolve();
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_EQ("sha256:" + image->digest, here);
  EXPECT_EQ(image->manifest.layers.size(), 1U);
}

TEST(Resolve, RefusesWhatIsWrong) {
  {
    Documents documents;
    std::string there = documents.add(manifest("there"));
    documents.name(documents.add(index({documents.child(there, "arm64")})));
    EXPECT_EQ(documents.resolve().error().kind, ErrorKind::kUnsupported);
  }
  {
    Documents documents;
    std::string here = documents.add(manifest("here"));
    auto child = documents.child(here, "amd64");
    child["size"] = 1;
    documents.name(documents.add(index({child})));
    EXPECT_EQ(documents.resolve().error().kind, ErrorKind::kCorrupt);
  }
  {
    Documents documents;
    std::string deep = documents.add(manifest("deep"));
    for (int i = 0; i < 6; ++i) deep = documents.add(index({documents.child(deep, "amd64")}));
    documents.name(deep);
    EXPECT_EQ(documents.resolve().error().kind, ErrorKind::kCorrupt);
  }
}

TEST(Urls, Parts) {
  auto url = parse_url("https://jo:p%40w@Example.org/a%20b/disk.img?x=1#part");
  ASSERT_TRUE(url) << url.error().to_string();
  EXPECT_EQ(url->host, "example.org");
  EXPECT_EQ(url->port, "443");
  EXPECT_EQ(url->user, "jo");
  EXPECT_EQ(url->password, "p@w");
  EXPECT_EQ(url->path, "/a b/disk.img");
  EXPECT_EQ(url->clean.find("jo"), std::string::npos);
  EXPECT_EQ(url->clean.find('#'), std::string::npos);
  for (const char* text :
       {"", "x", "ftp://h/x", "file:///etc/passwd", "http://", "http://h/a b", "http://h/\n"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
  EXPECT_EQ(*resolve_location("https://h/v2/x/blobs/1", "/y"), "https://h/y");
  EXPECT_EQ(*resolve_location("https://h/v2/x/blobs/1", "https://o/z"), "https://o/z");
}

}  // namespace
}  // namespace cocoon::image
