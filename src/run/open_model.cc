#include "run/open_model.h"

#include <set>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "run/execute.h"
#include "run/machine.h"
#include "store/facts.h"
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

EvaluatedModel identify_model(const std::string& word, const StoredModel& model, Store& store) {
  EvaluatedModel identity{.run_id = {},
                          .step = {},
                          .digest = {},
                          .machine_id = ensure_machine(store, machine_facts()),
                          .build_id = ensure_build(store, build_facts())};
  if (word.starts_with(run_prefix)) {
    identity.run_id = find_run_by_prefix(store, word.substr(run_prefix.size())).id;
    identity.step = std::stoll(split(model.folder.filename().string(), '-').back());  // step-000000123
    return identity;
  }
  std::set<std::string> digests;
  for (const fs::directory_entry& file : fs::directory_iterator(model.folder)) {
    const std::string name = file.path().filename().string();
    if (name.starts_with("model") && name.ends_with(".safetensors")) digests.insert(sha256_file(file.path()));
  }
  identity.digest = digests.size() == 1 ? *digests.begin()
                                        : sha256(join(std::vector(digests.begin(), digests.end()), "\n"));
  return identity;
}

}  // namespace mdnlab
