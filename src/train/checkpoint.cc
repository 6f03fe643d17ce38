#include "train/checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "interop/digests.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;

constexpr const char* model_file = "model.safetensors";
constexpr const char* optimizer_file = "optimizer.safetensors";
constexpr const char* state_file = "state.json";
constexpr const char* config_file = "config.json";
constexpr std::array summed_files{model_file, optimizer_file, state_file, config_file};

// Hidden, so that no reader takes it for a checkpoint.
constexpr std::string_view temporary_prefix = ".writing-";
constexpr std::string_view prefix = "step-";
constexpr std::size_t step_digits = 9;

std::string folder_name(std::int64_t step) { return fmt::format("{}{:0{}}", prefix, step, step_digits); }

// The step that a folder's name says, or nothing when it is no checkpoint's name.
std::optional<std::int64_t> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  std::int64_t step = 0;
  if (!name.starts_with(prefix) || !parse_integer(name.substr(prefix.size()), step)) return std::nullopt;
  if (step < 0 || folder_name(step) != name) return std::nullopt;
  return step;
}

// Runs one call of std::filesystem and turns its failure into an Error with the path.
template <class Act>
void attempt(const fs::path& path, const char* what, Act act) {
  std::error_code cause;
  act(cause);
  if (!cause) return;
  const bool full = cause == std::errc::no_space_on_device || cause.value() == EDQUOT;
  throw Error(
      full ? Code::store : Code::failed,
      ErrorText{.place = {.file = path.string()}, .what = fmt::format("{}: {}", what, cause.message())});
}

void remove_folder(const fs::path& folder) {
  attempt(folder, "cannot remove the folder", [&](std::error_code& cause) { fs::remove_all(folder, cause); });
}

void create_folder(const fs::path& folder) {
  attempt(folder, "cannot create the folder",
          [&](std::error_code& cause) { fs::create_directories(folder, cause); });
}

bool present(const fs::path& path) {
  bool found = false;
  attempt(path, "cannot look for it", [&](std::error_code& cause) { found = fs::exists(path, cause); });
  return found;
}

std::vector<fs::path> entries(const fs::path& run_folder) {
  std::vector<fs::path> result;
  attempt(run_folder, "cannot list the folder", [&](std::error_code& cause) {
    for (fs::directory_iterator entry(run_folder, cause), end; !cause && entry != end;
         entry.increment(cause)) {
      result.push_back(entry->path());
    }
  });
  return result;
}

void remove_leftovers(const fs::path& run_folder) {
  for (const fs::path& entry : entries(run_folder)) {
    if (entry.filename().string().starts_with(temporary_prefix)) remove_folder(entry);
  }
}

void write_content(const fs::path& folder, const Checkpoint& checkpoint) {
  write_safetensors(folder / model_file, checkpoint.model);
  write_safetensors(folder / optimizer_file, checkpoint.optimizer);
  write_file(folder / state_file, checkpoint.state_json);
  write_file(folder / config_file, checkpoint.config_json);
  write_digests(folder, summed_files);
  sync_folder(folder);
}

// A folder cannot be renamed onto one that holds files, so an old checkpoint of the same step trades places
// with the new one and is a leftover then.
void move_into_place(const fs::path& temporary, const fs::path& target) {
  const bool exchanged = present(target) && ::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, target.c_str(),
                                                        RENAME_EXCHANGE) == 0;
  if (!exchanged) {
    // On a file system that cannot exchange, and only there, a kill can cost the old checkpoint of this step.
    remove_folder(target);
    attempt(target, "cannot move the checkpoint into place",
            [&](std::error_code& cause) { fs::rename(temporary, target, cause); });
  }
  sync_folder(target.parent_path());
}

void remove_superseded(const fs::path& run_folder, std::int64_t step) {
  int earlier = 0;
  for (const fs::path& folder : checkpoint_folders(run_folder)) {
    const std::int64_t found = *step_of(folder);
    const bool kept = found == step || (found < step && ++earlier == 1);
    if (!kept) remove_folder(folder);
  }
  remove_leftovers(run_folder);
}

}  // namespace

fs::path save_checkpoint(const fs::path& run_folder, const Checkpoint& checkpoint) {
  const std::string name = folder_name(checkpoint.step);
  const fs::path temporary = run_folder / (std::string(temporary_prefix) + name);
  create_folder(run_folder);
  sync_folder(run_folder.parent_path());
  remove_leftovers(run_folder);
  create_folder(temporary);
  try {
    write_content(temporary, checkpoint);
    move_into_place(temporary, run_folder / name);
  } catch (...) {
    // The space goes back to whoever filled the disk; what failed is the error that counts.
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
  remove_superseded(run_folder, checkpoint.step);
  return run_folder / name;
}

std::vector<fs::path> checkpoint_folders(const fs::path& run_folder) {
  if (!present(run_folder)) return {};
  std::vector<fs::path> folders = entries(run_folder);
  std::erase_if(folders, [](const fs::path& folder) { return !step_of(folder); });
  std::ranges::sort(folders, std::greater(), [](const fs::path& folder) { return *step_of(folder); });
  return folders;
}

Checkpoint load_checkpoint(const fs::path& folder) {
  const std::optional<std::int64_t> step = step_of(folder);
  if (!step) {
    throw Error(Code::failed, {.place = {.file = folder.string()},
                               .what = "the folder is no checkpoint",
                               .found = quote(folder.filename().string()),
                               .expected = "step-<nine digits>"});
  }
  verify_digests(folder, summed_files);
  return {.step = *step,
          .model = read_safetensors(folder / model_file).tensors,
          .optimizer = read_safetensors(folder / optimizer_file).tensors,
          .state_json = read_file(folder / state_file),
          .config_json = read_file(folder / config_file)};
}

LatestCheckpoint load_latest_checkpoint(const fs::path& run_folder) {
  LatestCheckpoint latest;
  for (const fs::path& folder : checkpoint_folders(run_folder)) {
    try {
      latest.checkpoint = load_checkpoint(folder);
      latest.folder = folder;
      break;
    } catch (const Error& error) {
      latest.refused.emplace_back(error.what());
    }
  }
  return latest;
}

}  // namespace mdnlab
