// SPDX-License-Identifier: Apache-2.0
// `image prune`: the part of `gc` that is about images, and on demand the names that nothing needs.
#pragma once

#include "engine/gc.h"

namespace cocoon::engine {

// Removes files of images that nothing needs: blobs without a name, parts of downloads, work of
// dead imports. With `all` the names of images that no VM and no snapshot rests on go before. What
// a running command works on is skipped and named.
Result<GcReport> prune_images(Ports& ports, bool all, bool dry_run);

}  // namespace cocoon::engine
