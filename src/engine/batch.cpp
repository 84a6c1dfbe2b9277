// SPDX-License-Identifier: Apache-2.0
#include "engine/batch.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "sys/cancel.h"

namespace cocoon::engine {
namespace {

std::size_t pool_size(const model::Config& config, std::size_t items, Pace pace) {
  if (pace == Pace::kOneByOne) return 1;
  std::size_t size = config.pool_size > 0 ? static_cast<std::size_t>(config.pool_size)
                                          : std::max(1U, std::thread::hardware_concurrency());
  return std::min(size, items);
}

}  // namespace

BatchResult run_batch(Ports& ports, const std::vector<std::string>& ids,
                      const std::function<Result<void>(Ports&, const std::string&)>& work,
                      Pace pace) {
  std::vector<Result<void>> results(ids.size());
  std::atomic<std::size_t> next{0};
  auto worker = [&](Ports& own) {
    for (std::size_t i = next++; i < ids.size(); i = next++) {
      auto go = sys::check_cancelled();
      results[i] = go ? work(own, ids[i]) : std::move(go);
    }
  };
  // This thread works too, with the handle that is open; the others open their own.
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < pool_size(ports.config, ids.size(), pace); ++i) {
    threads.emplace_back([&] {
      auto db = store::Db::open(ports.paths.database());
      if (!db) return ignore(db, "fewer threads do the work");
      Ports own{ports.config, ports.paths, *db, ports.note};
      worker(own);
    });
  }
  worker(ports);
  for (std::thread& thread : threads) thread.join();
  BatchResult batch;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (results[i]) {
      batch.succeeded.push_back(ids[i]);
    } else {
      batch.failed.push_back({ids[i], std::move(results[i]).error()});
    }
  }
  return batch;
}

}  // namespace cocoon::engine
