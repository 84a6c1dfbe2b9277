// SPDX-License-Identifier: Apache-2.0
// What a command makes outside of the store before it has its name: an archive beside its target, a
// directory that files are copied into. The store notes where, so that gc finds what a killed
// command left in a directory of the user's.
#pragma once

#include <filesystem>
#include <string_view>

#include "engine/ports.h"
#include "image/catalog/collect.h"
#include "sys/file_lock.h"

namespace cocoon::engine {

inline constexpr std::string_view kOutsidePrefix = ".cocoon-export-";

// The name of one such thing, kOutsidePrefix and an ID, with its note: a symbolic link
// <root>/exports/<ID> to its absolute path, and the lock locks/export/<ID> held as long as it is
// wanted.
class [[nodiscard]] OutsideTemp {
 public:
  // Notes a fresh name in `dir`. Nothing is there yet: the caller makes a file or a directory.
  static Result<OutsideTemp> note(const Ports& ports, const std::filesystem::path& dir);

  OutsideTemp(OutsideTemp&& other) noexcept;
  OutsideTemp& operator=(OutsideTemp&&) = delete;
  OutsideTemp(const OutsideTemp&) = delete;
  OutsideTemp& operator=(const OutsideTemp&) = delete;
  // Removes what still has the name, and the note.
  ~OutsideTemp();

  const std::filesystem::path& path() const { return path_; }

 private:
  OutsideTemp(std::filesystem::path path, std::filesystem::path note, sys::FileLock lock)
      : path_(std::move(path)), note_(std::move(note)), lock_(std::move(lock)) {}

  std::filesystem::path path_;  // empty: moved from
  std::filesystem::path note_;
  sys::FileLock lock_;
};

// Removes what commands that are dead have left, by its path, and their notes; what cannot be
// removed is skipped with the reason, and its note stays. With `dry_run` only looks. A note whose
// path has not the name that its ID gives is dropped and nothing is removed.
Result<image::Collected> collect_outside_temps(const Ports& ports, bool dry_run);

}  // namespace cocoon::engine
