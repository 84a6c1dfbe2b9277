// SPDX-License-Identifier: Apache-2.0
#include "engine/run_spec.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace cocoon::engine {
namespace {

using Strings = std::vector<std::string>;

model::ImageConfig image() {
  model::ImageConfig config;
  config.entrypoint = {"/entry", "-e"};
  config.cmd = {"serve"};
  config.env = {"PATH=/bin", "A=image"};
  config.workdir = "/srv";
  config.user = "app";
  return config;
}

struct RunCase {
  const char* name;
  Strings command;
  std::optional<std::string> entrypoint;
  bool init;
  Strings want;
  bool want_init;
};

class ResolveRun : public testing::TestWithParam<RunCase> {};

TEST_P(ResolveRun, FollowsThePrecedence) {
  CreateRequest request;
  request.command = GetParam().command;
  request.entrypoint = GetParam().entrypoint;
  request.init = GetParam().init;
  auto run = resolve_run(request, image());
  ASSERT_TRUE(run) << run.error().to_string();
  EXPECT_EQ(run->argv, GetParam().want);
  EXPECT_EQ(run->init, GetParam().want_init);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ResolveRun,
    testing::Values(RunCase{"image", {}, {}, false, {"/entry", "-e", "serve"}, false},
                    RunCase{"command", {"ls", "/"}, {}, false, {"ls", "/"}, false},
                    RunCase{"entrypoint", {}, "/x", false, {"/x"}, false},
                    RunCase{"both", {"a"}, "/x", false, {"/x", "a"}, false},
                    RunCase{"cleared", {}, "", false, {"/sbin/init"}, true},
                    RunCase{"init_wins", {"ls"}, "/x", true, {"/sbin/init"}, true}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ResolveRunEnv, AddsToTheImages) {
  setenv("COCOON_TEST_BARE", "host", 1);
  unsetenv("COCOON_TEST_ABSENT");
  CreateRequest request;
  request.env = {"A=mine", "B=x=y", "COCOON_TEST_BARE", "COCOON_TEST_ABSENT", "EMPTY="};
  auto run = resolve_run(request, image());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->env, (Strings{"PATH=/bin", "A=mine", "B=x=y", "COCOON_TEST_BARE=host", "EMPTY="}));
  EXPECT_EQ(run->workdir, "/srv");
  EXPECT_EQ(run->user, "app");
}

TEST(ResolveRunEnv, RefusesNonsense) {
  for (const char* bad : {"", "=x"}) {
    CreateRequest request;
    request.env = {bad};
    EXPECT_FALSE(resolve_run(request, image())) << bad;
  }
  CreateRequest request;
  request.workdir = "relative";
  EXPECT_FALSE(resolve_run(request, image()));
}

TEST(ResolveRun, PlainImageRunsInit) {
  auto run = resolve_run({}, {});
  ASSERT_TRUE(run);
  EXPECT_TRUE(run->init);
  EXPECT_EQ(run->argv, Strings{"/sbin/init"});
}

}  // namespace
}  // namespace cocoon::engine
