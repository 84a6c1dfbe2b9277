// SPDX-License-Identifier: Apache-2.0
//
// cocoon-shim: the parent of one VMM. It owns the guest's console, writes down how the VMM ended,
// and does nothing else.
//
//   cocoon-shim launch <vm_dir>    reports `started <pid> <start_time>`
//   cocoon-shim adopt <vm_dir>     reports `adopted <pid> <start_time>`
//
// on descriptor 1, or `error <one line>`; exit codes before it serves are those of Start (shim.h).
#include <new>

#include "shim/loop.h"
#include "shim/setup.h"
#include "shim/shim.h"

namespace cocoon::shim {
namespace {

// Zeroed static memory rather than the stack, where compilers may touch every page.
alignas(Shim) std::array<std::byte, sizeof(Shim)> storage;

int fail(Start start, const Line& why) {
  Line line("error ");
  line.add(start == Start::kBusy ? "busy" : start == Start::kGone ? "gone" : why.view());
  report(line.view());
  return static_cast<int>(start);
}

int run(std::string_view verb, const char* vm_dir) {
  const bool launching = verb == "launch";
  if (!launching && verb != "adopt") return fail(Start::kFailed, Line("unknown verb"));
  if (Outcome outcome = set_up_process(); !outcome.ok) return fail(Start::kFailed, outcome.why);
  Shim& shim = *::new (storage.data()) Shim;
  const Started started = launching ? launch(shim, vm_dir) : adopt(shim, vm_dir);
  if (started.start != Start::kServing) return fail(started.start, started.why);
  Line line(launching ? "started " : "adopted ");
  line.add_number(shim.identity.process.pid).add(" ").add_number(shim.identity.process.start_time);
  report(line.view());
  shim.clients.set_vmm(shim.identity.process);
  serve(shim);
  return 0;
}

}  // namespace
}  // namespace cocoon::shim

int main(int argc, char** argv) {
  if (argc != 3) {
    cocoon::shim::report("error usage: cocoon-shim launch|adopt <vm_dir>");
    return 2;
  }
  return cocoon::shim::run(argv[1], argv[2]);
}
