// SPDX-License-Identifier: Apache-2.0
#include "sys/boot_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"
#include "sys/fault.h"

namespace cocoon::sys {

Result<void> write_boot_file(const fs::path& path, std::string_view bytes, mode_t mode) {
  fs::path temp = path.parent_path() / fmt::format(".tmp-{}", COCOON_TRY(random_hex(6)));
  auto write = [&]() -> Result<void> {
    UniqueFd fd = COCOON_TRY(open_file(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
    if (fchmod(fd.get(), mode) != 0) return fail_errno("chmod");
    COCOON_TRY(write_all(fd.get(), bytes));
    return rename_path(temp, path);
  };
  auto written = write();
  if (!written) {
    unlink(temp.c_str());
    return pass(std::move(written).error(), fmt::format("write {}", path.native()));
  }
  side_effect("write file");
  return {};
}

}  // namespace cocoon::sys
