// SPDX-License-Identifier: Apache-2.0
// A guest saved under KVM has seen this host's processor, and needs all of it again.
#pragma once

#include "base/error.h"
#include "model/snapshot.h"

namespace cocoon::engine {

// Of the first processor in /proc/cpuinfo; empty where it says nothing.
model::CpuFacts host_cpu_facts();

// The facts in a text of that form. Pure.
model::CpuFacts parse_cpu_facts(std::string_view cpuinfo);

// Can a guest that was saved on `saved` run on `here`? kUnsupported naming what is missing. Facts
// that nobody noted are no obstacle.
Result<void> check_cpu(const model::CpuFacts& saved, const model::CpuFacts& here);

}  // namespace cocoon::engine
