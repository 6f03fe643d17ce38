#include "report/settings.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"

namespace mdnlab {

namespace {

using Settings = std::map<std::string, std::string>;

constexpr std::array<std::string_view, 4> circumstances{"version", "data_digest", "dtype", "device"};

Settings settings_of(const Results& results, const Question& question,
                     std::span<const std::string_view> shown) {
  Settings settings;
  const auto all = nlohmann::json::parse(question.settings, nullptr, false);
  for (const auto& [name, value] : all.items()) {
    if (name == "chance" || value.is_null() || std::ranges::find(shown, name) != shown.end()) continue;
    settings[name] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  if (const auto digest = settings.find("data_digest"); digest != settings.end()) {
    const std::string name = results.data_name(question);
    // Without a name, the digest's beginning says that it is another.
    digest->second.resize(std::min<std::size_t>(8, digest->second.size()));
    if (!name.empty()) {
      settings.erase(digest);
      settings["data"] = name;
    }
  }
  return settings;
}

std::string text_of(const Settings& settings) {
  std::vector<std::string> words;
  for (const auto& [name, value] : settings) words.push_back(name + "=" + value);
  return join(words, ", ");
}

}  // namespace

ToldApart tell_apart(const Results& results, std::span<const Question* const> questions,
                     std::span<const std::string_view> shown) {
  std::map<const Question*, Settings> all;
  for (const Question* question : questions) all.emplace(question, settings_of(results, *question, shown));
  if (all.empty()) return {};
  Settings common = all.begin()->second;
  for (const auto& [question, settings] : all) {
    std::erase_if(common, [&](const auto& setting) {
      const auto found = settings.find(setting.first);
      return found == settings.end() || found->second != setting.second;
    });
  }
  ToldApart told;
  for (auto& [question, settings] : all) {
    std::erase_if(settings, [&](const auto& setting) { return common.contains(setting.first); });
    told.own.emplace(question, text_of(settings));
  }
  for (const std::string_view name : circumstances) common.erase(std::string(name));
  told.common = text_of(common);
  return told;
}

}  // namespace mdnlab
