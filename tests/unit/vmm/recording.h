// SPDX-License-Identifier: Apache-2.0
// What a real hypervisor answered (tests/fixtures/api), to be said again.
#pragma once

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/text.h"
#include "unit/vmm/fake_api.h"

namespace cocoon::vmm::test {

// The file: lines "> METHOD PATH" and "> BODY", then the response as it came, line ends aside.
class Recording {
 public:
  struct Exchange {
    std::string request;   // "PUT /api/v1/vm.boot"
    std::string response;  // head and body
  };

  explicit Recording(const std::string& file) {
    std::ifstream in(std::string(COCOON_FIXTURES_DIR) + "/api/" + file);
    EXPECT_TRUE(in) << file;
    for (std::string line; std::getline(in, line);) take(line);
    for (Exchange& exchange : exchanges_) finish(exchange);
  }

  const std::vector<Exchange>& exchanges() const { return exchanges_; }

  // A server that expects these requests and gives the recorded answers. "GET /x#1": the second
  // exchange with that request.
  Script play(const std::vector<std::string>& requests) const {
    std::vector<Exchange> scene;
    for (const std::string& request : requests) scene.push_back(find(request));
    return [scene](cocoon::test::HttpPeer& peer) {
      for (const Exchange& exchange : scene) {
        EXPECT_EQ(peer.hear().line, exchange.request + " HTTP/1.1");
        peer.say(exchange.response);
      }
      EXPECT_TRUE(peer.hear().line.empty());
    };
  }

 private:
  void take(const std::string& line) {
    if (line.starts_with("> GET ") || line.starts_with("> PUT ") || line.starts_with("> PATCH ")) {
      exchanges_.push_back({line.substr(2), {}});
    } else if (!exchanges_.empty() && !line.starts_with("> ")) {
      exchanges_.back().response += line + "\n";
    }
  }

  // The head gets its line ends back, the body its length.
  static void finish(Exchange& exchange) {
    auto end = exchange.response.find("\n\n");
    std::string lines = exchange.response.substr(0, end), body = exchange.response.substr(end + 2);
    std::string head;
    std::size_t length = 0;
    for (std::string_view line : split(lines, '\n')) {
      constexpr std::string_view kLength = "Content-Length: ";
      if (line.starts_with(kLength)) {
        length = static_cast<std::size_t>(*parse_decimal(line.substr(kLength.size())));
      }
      head += std::string(line) + "\r\n";
    }
    exchange.response = head + "\r\n" + body.substr(0, length);
  }

  Exchange find(const std::string& request) const {
    auto mark = request.find('#');
    std::size_t skip = mark == std::string::npos ? 0 : std::stoul(request.substr(mark + 1));
    for (const Exchange& exchange : exchanges_) {
      if (exchange.request == request.substr(0, mark) && skip-- == 0) return exchange;
    }
    ADD_FAILURE() << "no recording of " << request;
    return {};
  }

  std::vector<Exchange> exchanges_;
};

}  // namespace cocoon::vmm::test
