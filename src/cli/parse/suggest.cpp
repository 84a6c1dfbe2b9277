// SPDX-License-Identifier: Apache-2.0
#include "cli/parse/suggest.h"

#include <algorithm>
#include <utility>

namespace cocoon::cli {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Row i of the table: edits that turn the first i letters of `a` into the first j of `b`.
  std::vector<std::size_t> before, above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t replace = above[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replace});
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(above, row);
  }
  return above[b.size()];
}

std::vector<std::string> near_words(std::string_view word, const std::vector<std::string>& known) {
  // A pasted document is nobody's typing mistake, and the table grows with its length.
  constexpr std::size_t kLongest = 64;
  if (word.empty() || word.size() > kLongest) return {};
  std::size_t limit = word.size() <= 3 ? 1 : 2;
  std::vector<std::pair<std::size_t, std::string>> found;
  for (const std::string& candidate : known) {
    if (candidate.empty()) continue;
    bool starts = candidate.size() > word.size() && candidate.compare(0, word.size(), word) == 0;
    std::size_t distance = starts ? 0 : edit_distance(word, candidate);
    if (distance <= limit) found.emplace_back(distance, candidate);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> out;
  for (auto& [distance, candidate] : found) out.push_back(std::move(candidate));
  return out;
}

}  // namespace cocoon::cli
