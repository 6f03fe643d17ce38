#include "run/open_model.h"

#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "run/execute.h"
#include "store/runs.h"
#include "train/checkpoint.h"

namespace mdnlab {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view run_prefix = "run:";

StoredModel open_newest(const fs::path& run_folder, const std::string& run, const Plugins& plugins) {
  std::string refused;
  for (const fs::path& folder : checkpoint_folders(run_folder)) {
    try {
      return read_stored_model(folder, plugins);
    } catch (const Error& error) {
      if (error.code() != Code::failed) throw;
      if (refused.empty()) refused = error.what();
    }
  }
  throw Error(Code::failed, {.what = run + (refused.empty() ? " has no checkpoint yet"
                                                            : " has no checkpoint that verifies"),
                             .found = refused.empty() ? "nothing in " + run_folder.string() : refused});
}

}  // namespace

StoredModel open_model(const std::string& word, const fs::path& database, const Plugins& plugins) {
  if (word.starts_with(run_prefix)) {
    Store store = Store::open_reading(database);
    const RunRow run = find_run_by_prefix(store, word.substr(run_prefix.size()));
    return open_newest(run_folder(database, run.plan.key), "run " + quote(run.plan.key), plugins);
  }
  std::error_code ignored;
  if (fs::exists(word, ignored) && !fs::exists(fs::path(word) / "config.json", ignored) &&
      !checkpoint_folders(word).empty()) {
    return open_newest(word, word, plugins);
  }
  if (!fs::exists(word, ignored)) {
    throw Error(Code::usage,
                {.what = "no such model",
                 .found = quote(word),
                 .expected = "a checkpoint folder, another project's model folder, or run:KEYPREFIX"});
  }
  return read_stored_model(word, plugins);
}

}  // namespace mdnlab
