// Checkpoints of a run: folders that are either whole or not there.
//
//   <run folder>/step-000000123/
//     model.safetensors  optimizer.safetensors  state.json  config.json
//     SHA256SUMS         written last; `sha256sum -c SHA256SUMS` verifies the folder
//
// One process at a time may write into a run folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "interop/safetensors.h"

namespace mdnlab {

struct Checkpoint {
  std::int64_t step = 0;    // steps done; names the folder
  TensorMap model;          // parameters by name
  TensorMap optimizer;      // moments by name
  std::string state_json;   // what else resuming needs: data position, random state, tokens seen, …
  std::string config_json;  // what builds the model
};

// Writes into a temporary folder beside the final one, fsyncs every file and renames the folder; then
// removes what no longer counts: all but the new checkpoint and the newest one before it. A checkpoint of
// the same step is replaced; later steps are of a history that was given up, and go too. Leftovers of an
// interrupted writer are removed first. Returns the new folder. A failure names the path and leaves the
// earlier checkpoints as they were; a full disk is Code::store.
std::filesystem::path save_checkpoint(const std::filesystem::path& run_folder, const Checkpoint& checkpoint);

// The checkpoint folders of a run, newest first, unverified; none when the run folder is missing.
std::vector<std::filesystem::path> checkpoint_folders(const std::filesystem::path& run_folder);

// Verifies every file against SHA256SUMS, then reads. A missing or damaged file is an Error with
// Code::failed that names the file with the digests found and expected.
Checkpoint load_checkpoint(const std::filesystem::path& folder);

struct LatestCheckpoint {
  std::optional<Checkpoint> checkpoint;  // none: start from nothing
  std::filesystem::path folder;          // where it was
  std::vector<std::string> refused;      // why each newer one was passed over; for the user
};

// The newest checkpoint that verifies.
LatestCheckpoint load_latest_checkpoint(const std::filesystem::path& run_folder);

}  // namespace mdnlab
