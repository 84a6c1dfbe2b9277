// SPDX-License-Identifier: Apache-2.0
// SQLite as we use it (design decision 3): WAL where blocks allow, foreign keys on, user_version
// migrations, a 10 s busy timeout, BEGIN IMMEDIATE for writes. No handle crosses a fork.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace cocoon::store {

// A prepared statement. Bind by 1-based position, step rows, read by 0-based column.
class [[nodiscard]] Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  Statement& bind(int position, std::string_view text);
  Statement& bind(int position, std::int64_t number);
  Statement& bind_null(int position);

  // True while there is a row. kConflict for a violated constraint, kBusy when the database stayed
  // locked, kSystem else.
  Result<bool> step();
  // Steps a statement that returns no rows.
  Result<void> run();

  std::string text(int column) const;
  std::int64_t number(int column) const;
  bool is_null(int column) const;
  // A JSON column; kCorrupt when it does not parse.
  Result<nlohmann::json> json(int column) const;

 private:
  friend class Db;
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}
  sqlite3_stmt* handle_ = nullptr;
};

class Transaction;

class Db {
 public:
  // Opens (and creates, mode 0600, with its directory) the store and brings its schema up to date.
  // kUnsupported when it was written by a newer cocoon.
  static Result<Db> open(const std::filesystem::path& path);
  // Opens an existing store for reading only; nullopt when there is none yet, so that read-only
  // commands create nothing (spec 01 §24 row 42).
  static Result<std::optional<Db>> open_existing(const std::filesystem::path& path);

  Db(Db&& other) noexcept;
  Db& operator=(Db&& other) noexcept;
  Db(const Db&) = delete;
  Db& operator=(const Db&) = delete;
  ~Db();

  Result<Statement> prepare(std::string_view sql);
  Result<void> execute(std::string_view sql);
  // Rows changed by the last statement.
  int changes() const;
  // BEGIN IMMEDIATE: the one write transaction of the moment.
  Result<Transaction> begin();
  // Commits of this connection wait for the disk (before a step that cannot be undone).
  Result<void> set_durable(bool durable);

 private:
  explicit Db(sqlite3* handle) : handle_(handle) {}
  sqlite3* handle_ = nullptr;
};

// Rolls back unless committed. Never held across a call to a VMM or a helper program.
class [[nodiscard]] Transaction {
 public:
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  // Commits; see Db::set_durable for when it must reach the disk first.
  Result<void> commit();

 private:
  friend class Db;
  explicit Transaction(Db& db) : db_(&db) {}
  Db* db_ = nullptr;
};

}  // namespace cocoon::store
