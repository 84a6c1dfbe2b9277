// SPDX-License-Identifier: Apache-2.0
// What a command says while it waits for another one that makes the very thing it wants.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <utility>

namespace cocoon::image {

// Says it once in a command, however many things it waits for. Thread-safe.
class WaitNotice {
 public:
  using Say = std::function<void(std::string text)>;

  explicit WaitNotice(Say say) : say_(std::move(say)) {}

  // `work`: what the other command does, "downloads http://…".
  void tell(const std::string& work) {
    if (!told_.test_and_set()) say_("for another command, which " + work);
  }

 private:
  Say say_;
  std::atomic_flag told_;
};

}  // namespace cocoon::image
