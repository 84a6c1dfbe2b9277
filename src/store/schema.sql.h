// SPDX-License-Identifier: Apache-2.0
// The schema, one migration a step; user_version counts them. A landed migration is never changed.
#pragma once

#include <array>
#include <string_view>

namespace cocoon::store {

inline constexpr std::array<std::string_view, 3> kMigrations{R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- EROFS layers, merged layers, module trees, boot files of images: immutable files below blobs/.
CREATE TABLE blobs (
  id TEXT PRIMARY KEY,               -- digest of what it was made from, plus converter
  kind TEXT NOT NULL,                -- layer, merged, modules, boot
  state TEXT NOT NULL CHECK (state IN ('pending', 'ready', 'deleting')),
  file TEXT NOT NULL,                -- relative to the root directory
  size INTEGER NOT NULL DEFAULT 0,   -- bytes of the file
  sha256 TEXT NOT NULL DEFAULT '',   -- of the file
  created_at TEXT NOT NULL,
  record TEXT NOT NULL DEFAULT '{}'  -- converter, flags
) WITHOUT ROWID;

-- Another name of a blob's content, e.g. a registry's digest of the compressed layer.
CREATE TABLE blob_aliases (
  alias TEXT PRIMARY KEY,
  blob_id TEXT NOT NULL REFERENCES blobs (id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE images (
  name TEXT PRIMARY KEY,
  canonical TEXT NOT NULL UNIQUE,    -- registry/repository:tag; names that mean one image are one row
  digest TEXT NOT NULL,              -- sha256:…, the image's ID
  type TEXT NOT NULL,                -- oci, cloudimg
  created_at TEXT NOT NULL,
  record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX images_digest ON images (digest);

CREATE TABLE image_blobs (
  image TEXT NOT NULL REFERENCES images (name) ON DELETE CASCADE ON UPDATE CASCADE,
  blob_id TEXT NOT NULL REFERENCES blobs (id),
  PRIMARY KEY (image, blob_id)
) WITHOUT ROWID;
CREATE INDEX image_blobs_blob ON image_blobs (blob_id);

CREATE TABLE kernels (
  id TEXT PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('pending', 'ready', 'deleting')),
  modules_blob TEXT REFERENCES blobs (id),
  created_at TEXT NOT NULL,
  record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE kernel_names (
  name TEXT PRIMARY KEY,
  kernel_id TEXT NOT NULL REFERENCES kernels (id),
  is_default INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE UNIQUE INDEX kernel_default ON kernel_names (is_default) WHERE is_default = 1;

CREATE TABLE vms (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  hypervisor TEXT NOT NULL,
  state TEXT NOT NULL,
  uid INTEGER NOT NULL UNIQUE,
  image_digest TEXT NOT NULL,
  kernel_id TEXT REFERENCES kernels (id),
  created_at TEXT NOT NULL,
  record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX vms_created ON vms (created_at);
CREATE INDEX vms_state ON vms (state);
CREATE INDEX vms_kernel ON vms (kernel_id);

CREATE TABLE vm_blobs (
  vm_id TEXT NOT NULL REFERENCES vms (id) ON DELETE CASCADE,
  blob_id TEXT NOT NULL REFERENCES blobs (id),
  PRIMARY KEY (vm_id, blob_id)
) WITHOUT ROWID;
CREATE INDEX vm_blobs_blob ON vm_blobs (blob_id);
)sql",
                                                             R"sql(
CREATE TABLE snapshots (
  id TEXT PRIMARY KEY,
  name TEXT UNIQUE,                  -- NULL: it has none
  state TEXT NOT NULL CHECK (state IN ('pending', 'ready', 'deleting')),
  source_vm TEXT NOT NULL,           -- ID of the VM that it was taken of, which may be gone; or ''
  kernel_id TEXT REFERENCES kernels (id),
  created_at TEXT NOT NULL,
  record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX snapshots_created ON snapshots (created_at);
CREATE INDEX snapshots_source ON snapshots (source_vm);
CREATE INDEX snapshots_kernel ON snapshots (kernel_id);

CREATE TABLE snapshot_blobs (
  snapshot_id TEXT NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
  blob_id TEXT NOT NULL REFERENCES blobs (id),
  PRIMARY KEY (snapshot_id, blob_id)
) WITHOUT ROWID;
CREATE INDEX snapshot_blobs_blob ON snapshot_blobs (blob_id);
)sql",
                                                             R"sql(
-- The snapshot that this one builds on, which cannot go before it; NULL: none.
ALTER TABLE snapshots ADD COLUMN parent TEXT REFERENCES snapshots (id);
CREATE INDEX snapshots_parent ON snapshots (parent);
)sql"};

}  // namespace cocoon::store
