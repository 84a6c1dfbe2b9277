// SPDX-License-Identifier: Apache-2.0
// Joins the user's own user-data (--user-data FILE) with ours.
//
// Joined is done by cloud-init, in a MIME multipart message: its documented way, in every version,
// for several pieces of user-data, and one that carries scripts, boot hooks, templates, #include
// lists and whole multipart messages of the user as well as cloud-config. We never parse the user's
// YAML, so nothing in it can be misread here. The parts:
//  1. The user's text, in base64, as text/plain: cloud-init then finds its kind by its first line,
//     as it would without us. A multipart message of the user is a nested multipart.
//  2. Our cloud-config. cloud-init merges a part into what came before it by the *later* part's
//     rules, so ours comes second and the user's `merge_how` has no say: lists (users, mounts,
//     write_files, …) are appended to the user's, mappings are merged.
//  3. Our single values (ssh_pwauth, disable_root) once more, by the rule "replace": under rule 2
//     the earlier part's would stay.
// So every key of both sides is in effect, and where both give one single value ours is. Left to
// the user: `chpasswd: {expire: …}` of his document stays in effect, and one that gives a list of
// ours as a mapping or null keeps that, since no rule of cloud-init's merges those.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "cidata/cloud_config.h"

namespace cocoon::cidata {

// The user-data document: ours alone, as it is, when the user gave none or only blanks. kInvalid
// when the user's is larger than 16 MiB (more belongs on a data disk), not UTF-8 text (a gzip file,
// say) or nothing that cloud-init would know: its first line must begin with #cloud-config, #!,
// #include, #part-handler, #cloud-boothook or "## template: jinja", or it must be a MIME message.
Result<std::string> merge_user_data(const CloudConfig& ours,
                                    const std::optional<std::string>& users);

}  // namespace cocoon::cidata
