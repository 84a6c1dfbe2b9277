// SPDX-License-Identifier: Apache-2.0
#include "store/db.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "store/schema.sql.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::store {
namespace {

// SQLite's words; for I/O errors the system's as well. It takes a null handle for "out of memory".
std::string words_of(sqlite3* db, int code) {
  std::string words = sqlite3_errmsg(db);
  // It extends its -shm file by single writes; the reason of a failed one is not kept.
  int cause = code == SQLITE_IOERR_SHMSIZE ? ENOSPC : sqlite3_system_errno(db);
  bool from_system = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
  if (from_system && cause != 0) words += fmt::format(" ({})", std::strerror(cause));
  return words;
}

Failure sqlite_failure(sqlite3* db, std::string_view what) {
  int code = sqlite3_extended_errcode(db);
  int primary = code & 0xff;
  ErrorKind kind = primary == SQLITE_CONSTRAINT                            ? ErrorKind::kConflict
                   : primary == SQLITE_BUSY || primary == SQLITE_LOCKED    ? ErrorKind::kBusy
                   : primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB ? ErrorKind::kCorrupt
                                                                           : ErrorKind::kSystem;
  return fail(kind, "{}: {}", what, words_of(db, code));
}

Result<std::int64_t> user_version(Db& db) {
  Statement query = COCOON_TRY(db.prepare("PRAGMA user_version"));
  COCOON_TRY(query.step());
  return query.number(0);
}

Result<void> migrate(Db& db) {
  auto target = static_cast<std::int64_t>(kMigrations.size());
  std::int64_t version = COCOON_TRY(user_version(db));
  if (version == target) return {};
  Transaction tx = COCOON_TRY(db.begin());
  version = COCOON_TRY(user_version(db));  // another command may have been first
  if (version > target) {
    return fail(ErrorKind::kUnsupported,
                "the store has schema {}, this cocoon knows up to {}: use the newer cocoon",
                version, target);
  }
  for (auto step = version; step < target; ++step) {
    COCOON_TRY(db.execute(kMigrations[static_cast<std::size_t>(step)]), "migration {}", step + 1);
  }
  COCOON_TRY(db.execute(fmt::format("PRAGMA user_version = {}", target)));
  return tx.commit();
}

// A write-ahead log needs an index in shared memory, a sparse file that SQLite makes room for by
// one byte in every 4 KiB. Where blocks are smaller than that, the rest of it is allocated when it
// is written to, and a full file system is SIGBUS then.
bool can_share_memory(const std::filesystem::path& path) {
  constexpr long kIndexPage = 4096;
  struct statfs info {};
  return statfs(path.c_str(), &info) == 0 && info.f_bsize >= kIndexPage;
}

Result<std::string> journal_mode(Db& db) {
  Statement query = COCOON_TRY(db.prepare("PRAGMA journal_mode"));
  COCOON_TRY(query.step());
  return query.text(0);
}

// The mode is the file's: what an earlier version or another file system has left is changed,
// unless another command has it open now.
Result<void> use_rollback_journal(Db& db) {
  auto changed = db.execute("PRAGMA journal_mode = DELETE");
  if (!changed && changed.error().kind != ErrorKind::kBusy) return changed;
  return {};
}

Result<void> configure(Db& db, const std::filesystem::path& path) {
  COCOON_TRY(can_share_memory(path) ? db.execute("PRAGMA journal_mode = WAL")
                                    : use_rollback_journal(db));
  COCOON_TRY(db.set_durable(false));
  return db.execute("PRAGMA foreign_keys = ON");
}

}  // namespace

Statement::Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
Statement::~Statement() { sqlite3_finalize(handle_); }

Statement& Statement::bind(int position, std::string_view text) {
  sqlite3_bind_text64(handle_, position, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind(int position, std::int64_t number) {
  sqlite3_bind_int64(handle_, position, number);
  return *this;
}

Statement& Statement::bind_null(int position) {
  sqlite3_bind_null(handle_, position);
  return *this;
}

Result<bool> Statement::step() {
  int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return sqlite_failure(sqlite3_db_handle(handle_), "store");
}

Result<void> Statement::run() {
  COCOON_TRY(step());
  return {};
}

std::string Statement::text(int column) const {
  const unsigned char* data = sqlite3_column_text(handle_, column);
  auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
  return data == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(data), size);
}

std::int64_t Statement::number(int column) const { return sqlite3_column_int64(handle_, column); }

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

Result<nlohmann::json> Statement::json(int column) const {
  auto value = nlohmann::json::parse(text(column), nullptr, false);
  if (value.is_discarded()) return fail(ErrorKind::kCorrupt, "store: a record is not JSON");
  return value;
}

Result<Db> Db::open(const std::filesystem::path& path) {
  COCOON_TRY(sys::make_dirs(path.parent_path(), 0750), "open the store");
  // Made by us first: sqlite3 would create it with the umask's mode.
  // Never an existing one: closing it would drop the POSIX locks that SQLite holds on it for other
  // handles of this process (sqlite.org/howtocorrupt.html, 2.2).
  auto made = sys::open_file(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!made && made.error().saved_errno != EEXIST) {
    return pass(std::move(made).error(), "open the store");
  }
  auto db = COCOON_TRY(open_existing(path));
  if (!db) return fail(ErrorKind::kInternal, "open the store: {} vanished", path.native());
  return std::move(*db);
}

Result<std::optional<Db>> Db::open_existing(const std::filesystem::path& path) {
  if (!sys::exists(path)) return std::optional<Db>();
  sqlite3* handle = nullptr;
  int code =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Db db(handle);
  if (code != SQLITE_OK) {
    return sqlite_failure(handle, fmt::format("open the store {}", path.native()));
  }
  sqlite3_busy_timeout(handle, 10'000);
  COCOON_TRY(configure(db, path), "open the store {}", path.native());
  COCOON_TRY(migrate(db), "open the store {}", path.native());
  return std::optional<Db>(std::move(db));
}

Db::Db(Db&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
Db& Db::operator=(Db&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}
Db::~Db() { sqlite3_close_v2(handle_); }

Result<Statement> Db::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  int code =
      sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return sqlite_failure(handle_, "store");
  return Statement(statement);
}

Result<void> Db::execute(std::string_view sql) {
  int code = sqlite3_exec(handle_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return sqlite_failure(handle_, "store");
  return {};
}

int Db::changes() const { return sqlite3_changes(handle_); }

Result<Transaction> Db::begin() {
  COCOON_TRY(execute("BEGIN IMMEDIATE"));
  return Transaction(*this);
}

Result<void> Db::set_durable(bool durable) {
  // With less a loss of power may damage a store that has a rollback journal.
  bool full = durable || COCOON_TRY(journal_mode(*this)) != "wal";
  return execute(full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
}

Transaction::Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
Transaction::~Transaction() {
  if (db_ != nullptr) ignore(db_->execute("ROLLBACK"), "roll back");
}

Result<void> Transaction::commit() {
  COCOON_TRY(db_->execute("COMMIT"), "commit");
  db_ = nullptr;
  sys::side_effect("commit");
  return {};
}

}  // namespace cocoon::store
