// Finds and opens rule plugins.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rule/abi.h"

namespace mdnlab {

class Plugin {
 public:
  // Opens a module. Code::machine, naming the file: it cannot be opened, lacks the symbol, or has another
  // stamp (both are printed).
  explicit Plugin(const std::filesystem::path& file);

  const PluginInfo& info() const { return *info_; }
  const std::filesystem::path& file() const { return file_; }
  std::span<const Field> options() const { return {info_->options, info_->option_count}; }

  // The rule for one layer. A failing factory is an Error with its own code, naming the rule and the file.
  std::unique_ptr<Rule> create(const Params& options, const LayerShape& shape) const;

 private:
  std::filesystem::path file_;
  const PluginInfo* info_;
};

// All rules there are: from the folder beside libmdnlab, the folders of MDNLAB_PLUGIN_PATH (separated by
// ':'), and the files given by --plugin, sorted by name.
class Plugins {
 public:
  // A module of a folder that cannot be used is kept as a refusal; one that was named is an Error.
  // Two modules of one name are Code::machine, naming both files.
  explicit Plugins(std::span<const std::filesystem::path> named = {});

  const Plugin& find(std::string_view name,
                     const Place& place = {}) const;  // unknown: Code::usage with the nearest
  bool has(std::string_view name) const;
  const std::vector<Plugin>& all() const { return plugins_; }
  const std::vector<std::string>& refusals() const { return refusals_; }

 private:
  void add(Plugin plugin);

  std::vector<Plugin> plugins_;
  std::vector<std::string> refusals_;
};

}  // namespace mdnlab
