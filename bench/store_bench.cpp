// SPDX-License-Identifier: Apache-2.0
// The store's look-ups with 10 and with 10 000 VM records: what `vm inspect` does must not grow.
#include <cstdio>
#include <cstdlib>
#include <map>

#include <benchmark/benchmark.h>

#include "base/clock.h"
#include "base/id.h"
#include "store/vm_rows.h"
#include "sys/files.h"

namespace cocoon {
namespace {

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "store_bench: %s\n", result.error().to_string().c_str());
    std::abort();
  }
  return std::move(result).take();
}

// A store with that many VMs; made once per size, removed at exit.
struct Filled {
  sys::TempDir dir;
  store::Db db;
  std::string some_id;

  static Filled make(int count) {
    auto dir = must(sys::TempDir::create(sys::fs::temp_directory_path(), "cocoon-bench-"));
    auto db = must(store::Db::open(dir.path() / "cocoon.db"));
    auto tx = must(db.begin());
    std::string id;
    for (int i = 0; i < count; ++i) {
      model::Vm vm;
      vm.id = must(generate_id());
      vm.config.name = fmt::format("vm-{}", i);
      vm.state = model::VmState::kStopped;
      vm.uid = static_cast<std::uint32_t>(i);
      vm.created_at = utc_now();
      vm.run.env.assign(20, "SOME_VARIABLE=of usual length");
      if (auto added = store::insert_vm(db, vm, {}); !added) std::abort();
      if (i == count / 2) id = vm.id;
    }
    if (!tx.commit()) std::abort();
    return Filled{std::move(dir), std::move(db), id};
  }
};

Filled& filled(int count) {
  static std::map<int, Filled> stores;
  auto at = stores.find(count);
  if (at == stores.end()) at = stores.emplace(count, Filled::make(count)).first;
  return at->second;
}

void inspect(benchmark::State& state, const std::string& reference, Filled& store) {
  for (auto _ : state) {
    std::string id = must(store::resolve_vm(store.db, reference));
    benchmark::DoNotOptimize(must(store::get_vm(store.db, id)));
  }
}

void inspect_by_name(benchmark::State& state) {
  Filled& store = filled(static_cast<int>(state.range(0)));
  inspect(state, fmt::format("vm-{}", state.range(0) / 2), store);
}

void inspect_by_prefix(benchmark::State& state) {
  Filled& store = filled(static_cast<int>(state.range(0)));
  inspect(state, store.some_id.substr(0, 12), store);
}

BENCHMARK(inspect_by_name)->Arg(10)->Arg(10'000);
BENCHMARK(inspect_by_prefix)->Arg(10)->Arg(10'000);

}  // namespace
}  // namespace cocoon

BENCHMARK_MAIN();
