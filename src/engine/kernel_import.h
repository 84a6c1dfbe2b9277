// SPDX-License-Identifier: Apache-2.0
// `kernel import NAME --kernel FILE [--modules DIR]`. Links archive and crypto libraries:
// cocoon_engine_acquire only.
#pragma once

#include <filesystem>
#include <string>

#include "engine/ports.h"
#include "image/acquire/convert.h"
#include "model/kernel.h"

namespace cocoon::engine {

struct KernelImportRequest {
  std::string name;
  std::filesystem::path kernel;
  std::filesystem::path modules;  // empty: everything that matters is built in
  // The program that becomes /init; empty: cocoon-guest beside our helper programs.
  std::filesystem::path guest_program;
};

struct KernelImportReport {
  model::KernelName kernel;
  bool changed = true;  // false: the name pointed to the very same object already
  std::string note;     // what this kernel cannot do, one line; empty: nothing
};

// Stores a kernel, its initramfs and its module tree, and points the name at them; the first name
// of all becomes the default. Same input, same object. After a failure nothing is left behind.
// kInvalid: no kernel, no modules there, or modules of another kernel; kUnsupported: another
// architecture, or a host that lacks mkfs.erofs or our guest program.
Result<KernelImportReport> import_kernel(Ports& ports, const KernelImportRequest& request,
                                         const image::ProgressSink& progress);

}  // namespace cocoon::engine
