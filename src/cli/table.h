// SPDX-License-Identifier: Apache-2.0
// Tables for people (spec 01 §7): columns padded with spaces to the widest cell plus two, the last
// one unpadded, no separators.
#pragma once

#include <string>
#include <vector>

namespace cocoon::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> headers) { rows_.push_back(std::move(headers)); }

  // As many cells as there are headers. Control characters are escaped: names may come from
  // images.
  void add(std::vector<std::string> cells);

  std::string render() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace cocoon::cli
