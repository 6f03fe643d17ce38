#include "rule/loader.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/text.h"

namespace mdnlab {

namespace fs = std::filesystem;

Plugin::Plugin(const fs::path& file) : file_(fs::absolute(file).lexically_normal()) {
  const auto refuse = [&](std::string what, std::string found = {}, std::string expected = {},
                          std::string hint = {}) {
    throw Error(Code::machine,
                {{file_.string()}, std::move(what), std::move(found), std::move(expected), std::move(hint)});
  };
  if (!fs::exists(file_)) refuse("the plugin is not there");
  void* module = dlopen(file_.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module) refuse("the plugin cannot be opened: " + std::string(dlerror()));
  info_ = static_cast<const PluginInfo*>(dlsym(module, "mdnlab_plugin"));
  if (!info_)
    refuse("no plugin: it has no symbol mdnlab_plugin", {}, {}, "define it with MDNLAB_PLUGIN (rule/abi.h)");
  if (info_->interface_version != MDNLAB_INTERFACE_VERSION ||
      info_->build_stamp != std::string_view(MDNLAB_BUILD_STAMP)) {
    const bool same_layout = info_->interface_version == MDNLAB_INTERFACE_VERSION;
    refuse("the plugin was built for another program",
           same_layout ? quote(info_->build_stamp) : "interface " + std::to_string(info_->interface_version),
           quote(MDNLAB_BUILD_STAMP), "build it again against the installed headers");
  }
}

std::unique_ptr<Rule> Plugin::create(const Params& options, const LayerShape& shape) const {
  PluginFailure failure;
  std::unique_ptr<Rule> rule(info_->create(options, shape, failure));
  if (rule) return rule;
  failure.text.what = "rule " + std::string(info_->name) + ": " + failure.text.what;
  if (failure.code == Code::machine) {
    failure.text.hint += (failure.text.hint.empty() ? "" : "; ") +
                         ("plugin " + file_.string() + ", built as " + quote(info_->build_stamp) +
                          ", program " + quote(MDNLAB_BUILD_STAMP));
  }
  throw Error(failure.code, std::move(failure.text));
}

namespace {

// The folder `plugins` of the build tree, or lib/mdnlab/plugins where the library is installed.
std::vector<fs::path> folders() {
  std::vector<fs::path> list;
  Dl_info library{};
  static const int anchor = 0;
  if (dladdr(&anchor, &library) && library.dli_fname) {
    const fs::path home = fs::absolute(library.dli_fname).parent_path();
    list = {home / "plugins", home / "mdnlab" / "plugins"};
  }
  if (const char* path = std::getenv("MDNLAB_PLUGIN_PATH")) {
    for (const std::string& folder : split(path, ':')) {
      if (!folder.empty()) list.emplace_back(folder);
    }
  }
  return list;
}

std::vector<fs::path> modules(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code ignored;  // a folder that is not there holds no plugins
  for (auto it = fs::recursive_directory_iterator(folder, ignored); it != fs::recursive_directory_iterator();
       it.increment(ignored)) {
    if (it.depth() > 1) it.disable_recursion_pending();
    if (it->path().extension() == ".so") files.push_back(it->path());
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

Plugins::Plugins(std::span<const fs::path> named) {
  for (const fs::path& folder : folders()) {
    for (const fs::path& file : modules(folder)) {
      std::optional<Plugin> plugin;
      try {
        plugin.emplace(file);
      } catch (const Error& error) {
        refusals_.emplace_back(error.what());
      }
      if (plugin) add(std::move(*plugin));
    }
  }
  for (const fs::path& file : named) add(Plugin(file));
  std::ranges::sort(plugins_, {}, [](const Plugin& plugin) { return std::string_view(plugin.info().name); });
}

void Plugins::add(Plugin plugin) {
  for (const Plugin& other : plugins_) {
    if (std::string_view(other.info().name) != plugin.info().name) continue;
    if (other.file() == plugin.file()) return;
    throw Error(Code::machine, {{plugin.file().string()},
                                "two plugins are named " + quote(plugin.info().name),
                                {},
                                {},
                                "the other is " + other.file().string()});
  }
  plugins_.push_back(std::move(plugin));
}

bool Plugins::has(std::string_view name) const {
  return std::ranges::any_of(plugins_, [&](const Plugin& plugin) { return plugin.info().name == name; });
}

const Plugin& Plugins::find(std::string_view name, const Place& place) const {
  std::vector<std::string> names;
  for (const Plugin& plugin : plugins_) {
    if (plugin.info().name == name) return plugin;
    names.emplace_back(plugin.info().name);
  }
  std::vector<std::string> hints;
  if (!names.empty()) hints.push_back(suggestion(name, names));
  if (!refusals_.empty()) {
    // The module of this name, if it is among those refused, is what somebody looks for.
    const std::string file = "/" + std::string(name) + ".so:";
    const auto named = std::ranges::find_if(
        refusals_, [&](const std::string& refusal) { return refusal.find(file) != std::string::npos; });
    hints.push_back("refused: " + (named == refusals_.end() ? refusals_.front() : *named));
    if (refusals_.size() > 1)
      hints.push_back(std::to_string(refusals_.size() - 1) + " more by `mdnlab rules list`");
  }
  throw Error(Code::usage, {place, "unknown rule", quote(name), {}, join(hints, "; ")});
}

}  // namespace mdnlab
