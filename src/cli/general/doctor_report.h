// SPDX-License-Identifier: Apache-2.0
// What `doctor` prints. Pure.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/doctor.h"

namespace cocoon::cli {

struct DoctorSummary {
  int pass = 0;
  int warn = 0;
  int fail = 0;
};

DoctorSummary summarize(const std::vector<engine::Check>& checks);

// {"checks":[{"status":"pass|warn|fail","name","detail"}],"summary":{"pass","warn","fail"}}
nlohmann::json doctor_json(const std::vector<engine::Check>& checks);

// "PASS  name: detail" lines and a summary line.
std::string doctor_text(const std::vector<engine::Check>& checks);

}  // namespace cocoon::cli
