// SPDX-License-Identifier: Apache-2.0
// "Did you mean …": words near a mistyped one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cocoon::cli {

// Edits (insert, delete, replace, swap of neighbours) that turn one word into the other. Pure.
std::size_t edit_distance(std::string_view a, std::string_view b);

// Those of `known` that the user may have meant: at most two edits away (one for words of up to
// three letters), or starting with the word; nearest first.
std::vector<std::string> near_words(std::string_view word, const std::vector<std::string>& known);

}  // namespace cocoon::cli
