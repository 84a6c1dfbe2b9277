// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "cli/app.h"
#include "cli/general/doctor_report.h"
#include "cli/general/general.h"
#include "cli/json_output.h"

namespace cocoon::cli {
namespace {

std::string_view status_word(engine::CheckStatus status) {
  switch (status) {
    case engine::CheckStatus::kPass:
      return "PASS";
    case engine::CheckStatus::kWarn:
      return "WARN";
    case engine::CheckStatus::kFail:
      return "FAIL";
  }
  return "FAIL";
}

}  // namespace

DoctorSummary summarize(const std::vector<engine::Check>& checks) {
  DoctorSummary summary;
  for (const engine::Check& check : checks) {
    if (check.status == engine::CheckStatus::kPass) ++summary.pass;
    if (check.status == engine::CheckStatus::kWarn) ++summary.warn;
    if (check.status == engine::CheckStatus::kFail) ++summary.fail;
  }
  return summary;
}

nlohmann::json doctor_json(const std::vector<engine::Check>& checks) {
  nlohmann::json list = nlohmann::json::array();
  for (const engine::Check& check : checks) {
    list.push_back({{"status", to_lower(status_word(check.status))},
                    {"name", check.name},
                    {"detail", check.detail}});
  }
  DoctorSummary summary = summarize(checks);
  return {{"checks", list},
          {"summary", {{"pass", summary.pass}, {"warn", summary.warn}, {"fail", summary.fail}}}};
}

std::string doctor_text(const std::vector<engine::Check>& checks) {
  std::string out;
  for (const engine::Check& check : checks) {
    out += fmt::format("{}  {}: {}\n", status_word(check.status), escape_controls(check.name),
                       escape_controls(check.detail));
  }
  DoctorSummary summary = summarize(checks);
  return out + fmt::format("\n{} passed, {} warnings, {} failed\n", summary.pass, summary.warn,
                           summary.fail);
}

Command doctor_command() {
  struct Doctor {
    std::string format;
    bool fix = false;
  };
  auto flags = std::make_shared<Doctor>();
  Command command;
  command.path = "doctor";
  command.summary = "Check whether this host can run VMs; changes nothing without --fix";
  command.flags = {output_flag(&flags->format),
                   {.name = "fix",
                    .target = &flags->fix,
                    .help = "set up what is missing for networks: a default one, /dev/net/tun"}};
  command.run = [flags](App& app, const Arguments&) -> Result<int> {
    if (flags->fix) {
      auto done = COCOON_TRY(engine::fix_host(app.config()), "doctor --fix");
      for (const std::string& line : done) app.output().remark(line);
    }
    auto checks = engine::run_doctor(app.config());
    app.output().print(wants_json(flags->format) ? render_json(doctor_json(checks))
                                                 : doctor_text(checks));
    return summarize(checks).fail > 0 ? 1 : 0;
  };
  return command;
}

}  // namespace cocoon::cli
