// SPDX-License-Identifier: Apache-2.0
// Reads typed fields out of a JSON object without exceptions: a missing key keeps the default, a
// wrong type is remembered and reported once. For records that may come from outside (sidecars).
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace cocoon::model {

class Fields {
 public:
  Fields(const nlohmann::json& json, std::string_view what) : json_(json), what_(what) {
    if (!json.is_object()) problem_ = fmt::format("{}: not a JSON object", what_);
  }

  template <class T>
  void get(const char* key, T& out) {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return;
    if (!read(*value, out) && problem_.empty()) {
      problem_ = fmt::format("{}: key \"{}\" has the wrong type", what_, key);
    }
  }

  // The value of a key, null when absent.
  const nlohmann::json* find(const char* key) const {
    if (!json_.is_object()) return nullptr;
    auto at = json_.find(key);
    return at == json_.end() || at->is_null() ? nullptr : &*at;
  }

  // kCorrupt with the first problem.
  Result<void> check() const {
    if (!problem_.empty()) return fail(ErrorKind::kCorrupt, "{}", problem_);
    return {};
  }

 private:
  static bool read(const nlohmann::json& value, std::string& out) {
    if (!value.is_string()) return false;
    out = value.get_ref<const std::string&>();
    return true;
  }
  static bool read(const nlohmann::json& value, bool& out) {
    if (!value.is_boolean()) return false;
    out = value.get<bool>();
    return true;
  }
  template <class T>
  requires std::is_integral_v<T> &&
      (!std::is_same_v<T, bool>)static bool read(const nlohmann::json& value, T& out) {
    if (value.is_number_unsigned()) {
      auto number = value.get<std::uint64_t>();
      if (number > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return false;
      out = static_cast<T>(number);
      return true;
    }
    if (!value.is_number_integer()) return false;
    auto number = value.get<std::int64_t>();
    if constexpr (std::is_signed_v<T>) {
      if (number < std::numeric_limits<T>::min()) return false;
      out = static_cast<T>(number);
      return true;
    }
    return false;  // negative into unsigned
  }
  template <class T>
  static bool read(const nlohmann::json& value, std::vector<T>& out) {
    if (!value.is_array()) return false;
    out.clear();
    for (const auto& element : value) {
      T item{};
      if (!read(element, item)) return false;
      out.push_back(std::move(item));
    }
    return true;
  }

  const nlohmann::json& json_;
  std::string what_;
  std::string problem_;
};

}  // namespace cocoon::model
