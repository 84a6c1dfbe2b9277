// SPDX-License-Identifier: Apache-2.0
// The HTTP client against servers of all sorts (spec 03 §23.4).
#include "sys/http_client.h"

#include <sys/socket.h>

#include <array>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "unit/http_peer.h"

namespace cocoon::sys {
namespace {

using test::HttpPeer;

constexpr Milliseconds kPatience{5000};
constexpr Milliseconds kShort{150};

// A client, and a server that follows a script in its own thread.
struct Conversation {
  std::optional<HttpClient> client;
  std::thread server;
  ~Conversation() {
    client.reset();
    if (server.joinable()) server.join();
  }
  Result<HttpResponse> get(Milliseconds patience = kPatience) {
    return client->exchange("GET", "/x", nullptr, deadline_in(patience));
  }
};

Conversation talk(std::function<void(HttpPeer&)> script, HttpClient::Limits limits = {}) {
  std::array<int, 2> ends{};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {HttpClient(UniqueFd(ends[0]), limits), std::thread([fd = ends[1], script] {
            HttpPeer peer{UniqueFd(fd)};
            script(peer);
          })};
}

void expect_error(const Result<HttpResponse>& response, ErrorKind kind) {
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, kind) << response.error().to_string();
}

TEST(HttpClient, UsesOneConnectionAgainAndAgain) {
  auto conversation = talk([](HttpPeer& peer) {
    EXPECT_EQ(peer.hear().line, "PUT /vm.boot HTTP/1.1");
    peer.say("HTTP/1.1 204 \r\nServer: X\r\nConnection: keep-alive\r\n\r\n");
    auto request = peer.hear();
    EXPECT_EQ(request.body, "{\"a\":1}");
    EXPECT_NE(request.head.find("Content-Length: 7\r\n"), std::string::npos);
    peer.answer(200, "{\"b\":2}");
    peer.hear();
    peer.answer(500, "[]");
  });
  HttpClient& client = *conversation.client;
  auto boot = client.exchange("PUT", "/vm.boot", nullptr, deadline_in(kPatience));
  ASSERT_TRUE(boot) << boot.error().to_string();
  EXPECT_EQ(boot->status, 204);
  EXPECT_TRUE(client.reusable());
  std::string body = "{\"a\":1}";
  auto create = client.exchange("PUT", "/vm.create", &body, deadline_in(kPatience));
  ASSERT_TRUE(create) << create.error().to_string();
  EXPECT_EQ(create->body, "{\"b\":2}");
  auto refused = conversation.get();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 500);
}

TEST(HttpClient, SendsNoBodyAndNoLengthWhereThereIsNone) {
  auto conversation = talk([](HttpPeer& peer) {
    auto request = peer.hear();
    EXPECT_EQ(request.head.find("Content-"), std::string::npos) << request.head;
    EXPECT_EQ(request.head.find("Expect"), std::string::npos);
    EXPECT_EQ(request.head.find("Encoding"), std::string::npos);
    peer.answer(204);
  });
  EXPECT_TRUE(conversation.get());
}

TEST(HttpClient, PutsAnAnswerTogetherByteByByte) {
  auto conversation = talk([](HttpPeer& peer) {
    peer.hear();
    std::string_view text = "HTTP/1.1 200 \r\nContent-Length: 4\r\n\r\nbody";
    for (char c : text) peer.say(std::string_view(&c, 1));
  });
  auto response = conversation.get();
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->body, "body");
}

TEST(HttpClient, SkipsContinue) {
  auto conversation = talk([](HttpPeer& peer) {
    peer.hear();
    peer.say("HTTP/1.1 100 \r\n\r\n");
    peer.answer(204);
  });
  auto response = conversation.get();
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->status, 204);
}

TEST(HttpClient, ReadsTheRefusalOfAServerThatDoesNotListen) {
  for (std::size_t size : {std::size_t{10}, std::size_t{51'200}}) {
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    {
      HttpPeer peer{UniqueFd(ends[1])};
      peer.say("HTTP/1.1 503 \r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
    }
    HttpClient client{UniqueFd(ends[0])};
    std::string body(size, 'x');
    auto response = client.exchange("PUT", "/x", &body, deadline_in(kPatience));
    ASSERT_TRUE(response) << response.error().to_string();
    EXPECT_EQ(response->status, 503);
    EXPECT_FALSE(client.reusable());
  }
}

TEST(HttpClient, RefusesABodyOverTheLimitBeforeItSendsAnything) {
  auto conversation = talk([](HttpPeer& peer) { EXPECT_EQ(peer.hear().line, "GET /x HTTP/1.1"); });
  std::string body(51'201, 'x');
  expect_error(conversation.client->exchange("PUT", "/x", &body, deadline_in(kShort)),
               ErrorKind::kInvalid);
  expect_error(conversation.get(kShort), ErrorKind::kSystem);
}

TEST(HttpClient, SendsALargerBodyWhenTold) {
  HttpClient::Limits limits;
  limits.request_body = std::size_t{1} << 20;
  auto conversation = talk(
      [](HttpPeer& peer) {
        EXPECT_EQ(peer.hear().body.size(), 600'000U);
        peer.answer(204);
      },
      limits);
  std::string body(600'000, 'x');
  EXPECT_TRUE(conversation.client->exchange("PUT", "/x", &body, deadline_in(kPatience)));
}

TEST(HttpClient, RefusesRequestsThatAreNone) {
  auto conversation = talk([](HttpPeer& peer) { EXPECT_TRUE(peer.hear().line.empty()); });
  HttpClient& client = *conversation.client;
  auto soon = deadline_in(kShort);
  for (const char* target : {"", "x", "/a b", "/a\r\nX: y", "/\xc3\xa4"}) {
    expect_error(client.exchange("GET", target, nullptr, soon), ErrorKind::kInvalid);
  }
  expect_error(client.exchange("GET", "/" + std::string(1000, 'x'), nullptr, soon),
               ErrorKind::kInvalid);
  expect_error(client.exchange("get ", "/x", nullptr, soon), ErrorKind::kInvalid);
}

TEST(HttpClient, GivesUpOnSilence) {
  auto conversation = talk([](HttpPeer& peer) {
    peer.hear();
    peer.hear();
  });
  auto start = std::chrono::steady_clock::now();
  expect_error(conversation.get(kShort), ErrorKind::kTimeout);
  EXPECT_GE(std::chrono::steady_clock::now() - start, kShort);
  EXPECT_FALSE(conversation.client->reusable());
}

TEST(HttpClient, GivesUpOnAServerThatDrips) {
  auto conversation = talk([](HttpPeer& peer) {
    peer.say("HTTP/1.1 200 \r\n");
    for (int count = 0; count < 100; ++count) {
      peer.say("X: y\r\n");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  expect_error(conversation.get(kShort), ErrorKind::kTimeout);
}

TEST(HttpClient, SaysThatAServerWentAwayInTheMiddle) {
  for (const char* said :
       {"", "HTTP/1.1 200 \r\nConte", "HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\nhalf"}) {
    auto conversation = talk([said](HttpPeer& peer) {
      peer.hear();
      peer.say(said);
      peer.close();
    });
    auto response = conversation.get();
    expect_error(response, ErrorKind::kSystem);
    EXPECT_EQ(response.error().saved_errno, ECONNRESET);
  }
}

struct HostileCase {
  const char* name;
  std::string says;
};

class HostileServer : public testing::TestWithParam<HostileCase> {};

TEST_P(HostileServer, IsRefused) {
  auto conversation = talk([](HttpPeer& peer) {
    peer.hear();
    peer.say(GetParam().says);
    peer.hear();
  });
  expect_error(conversation.get(), ErrorKind::kCorrupt);
  EXPECT_FALSE(conversation.client->reusable());
}

INSTANTIATE_TEST_SUITE_P(
    Cases, HostileServer,
    testing::Values(HostileCase{"Garbage", "220 mail ready\r\n\r\n"},
                    HostileCase{"EndlessHead", "HTTP/1.1 200 \r\n" + std::string(100'000, 'x')},
                    HostileCase{"LongHead",
                                "HTTP/1.1 200 \r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"},
                    HostileCase{"HugeBody", "HTTP/1.1 200 \r\nContent-Length: 1048577\r\n\r\n"},
                    HostileCase{"BodyOfNoContent", "HTTP/1.1 204 \r\nContent-Length: 3\r\n\r\nabc"},
                    HostileCase{"SecondAnswer", "HTTP/1.1 204 \r\n\r\nHTTP/1.1 204 \r\n\r\n"},
                    HostileCase{"NewProtocol", "HTTP/1.1 101 \r\n\r\n"},
                    HostileCase{"ContinueForEver",
                                "HTTP/1.1 100 \r\n\r\nHTTP/1.1 100 \r\n\r\nHTTP/1.1 100 \r\n\r\n"
                                "HTTP/1.1 100 \r\n\r\nHTTP/1.1 100 \r\n\r\nHTTP/1.1 100 \r\n\r\n"}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace cocoon::sys
