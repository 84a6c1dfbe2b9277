// SPDX-License-Identifier: Apache-2.0
#include "cli/batch_report.h"

#include "cli/exit_code.h"
#include "cli/json_output.h"

namespace cocoon::cli {

int report_batch(App& app, const engine::BatchResult& result, const std::string& format) {
  Output& output = app.output();
  const Error* last = nullptr;
  for (const auto& failed : result.failed) {
    // One cause that stopped them all is told once.
    bool same = last != nullptr && last->to_string() == failed.error.to_string();
    if (!same) output.error(failed.error);
    last = &failed.error;
  }
  if (wants_json(format)) {
    output.print(render_json(batch_json(result)));
  } else {
    for (const std::string& id : result.succeeded) output.line(id);
  }
  return exit_code(result);
}

engine::BatchResult nothing_done(const std::vector<std::string>& references, const Error& error,
                                 const std::function<Result<void>(const std::string&)>& look_up) {
  engine::BatchResult out;
  for (const std::string& reference : references) {
    auto found = look_up(reference);
    if (!found) out.failed.push_back({reference, std::move(found).error()});
  }
  if (!out.failed.empty()) return out;
  for (const std::string& reference : references) out.failed.push_back({reference, error});
  return out;
}

}  // namespace cocoon::cli
