// SPDX-License-Identifier: Apache-2.0
// The index files that depmod makes (modules.dep(5), modprobe.d(5) for softdep), and which modules
// an initramfs needs. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cocoon::image {

class ModuleIndex {
 public:
  // The contents of modules.dep, modules.builtin, modules.softdep and modules.alias; the last three
  // may be empty. kCorrupt for a line or path that cannot be.
  static Result<ModuleIndex> parse(std::string_view dep, std::string_view builtin,
                                   std::string_view softdep, std::string_view alias);

  bool has_module(std::string_view name) const;
  bool is_builtin(std::string_view name) const;
  // False when nothing is known about built-in modules.
  bool knows_builtin() const { return !builtin_.empty(); }

  // The paths (relative to the tree) that loading `name` takes, dependencies first, itself last.
  // Nothing for a module that is built in or does not exist.
  std::vector<std::string> closure(std::string_view name) const;

 private:
  void visit(const std::string& name, std::set<std::string>& seen,
             std::vector<std::string>& out) const;

  struct Module {
    std::string path;
    std::vector<std::string> needs;  // names
  };
  std::map<std::string, Module, std::less<>> modules_;
  std::set<std::string, std::less<>> builtin_;
};

// "virtio-rng" and "virtio_rng" are one module: the name with '_' and without suffixes.
std::string module_name(std::string_view path);

// A line of the initramfs's /modules/order: a module, and the file system that it is loaded for
// (empty: always).
struct InitramfsModule {
  std::string path;  // in the module tree
  std::string file;  // in the initramfs: "virtio_blk.ko"
  std::string fstype;
  bool operator==(const InitramfsModule&) const = default;
};

// What a boot-kit guest needs to reach its disks and us (design §8), in load order. kInvalid naming
// what this kernel lacks, where the index can tell.
Result<std::vector<InitramfsModule>> plan_initramfs_modules(const ModuleIndex& index);

}  // namespace cocoon::image
