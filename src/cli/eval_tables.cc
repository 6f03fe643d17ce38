#include "cli/eval_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>

#include "base/text.h"

namespace mdnlab {

namespace {

constexpr std::size_t terminal_columns = 80;

nlohmann::ordered_json number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

// The settings in which scores differ that are alike in all other columns, as key=value; where
// `short_ranges`, what two tell, key_from and key_to, as key=from..to.
std::vector<std::string> differences(const std::vector<Score>& scores, bool short_ranges) {
  struct Alike {
    std::size_t scores = 0;
    std::map<std::string, std::multiset<std::string>> values;
  };
  const auto columns = [](const Score& score) {
    return std::tuple(score.task, score.metric, score.length, score.depth);
  };
  std::map<decltype(columns(scores[0])), Alike> groups;
  for (const Score& score : scores) {
    Alike& alike = groups[columns(score)];
    ++alike.scores;
    const auto settings = nlohmann::json::parse(score.settings_json);
    for (const auto& [key, value] : settings.items()) alike.values[key].insert(value.dump());
  }
  std::vector<std::string> texts;
  for (const Score& score : scores) {
    const Alike& alike = groups[columns(score)];
    std::vector<std::string> words;
    const auto settings = nlohmann::json::parse(score.settings_json);
    for (const auto& [key, value] : settings.items()) {
      if (alike.values.at(key).count(value.dump()) == alike.scores) continue;
      const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      const std::string name = key.substr(0, key.rfind('_'));
      const bool is_end =
          short_ranges && key == name + "_to" && !words.empty() && words.back().starts_with(name + "_from=");
      if (is_end)
        words.back() = name + words.back().substr(name.size() + std::strlen("_from")) + ".." + text;
      else
        words.push_back(key + "=" + text);
    }
    texts.push_back(join(words, " "));
  }
  return texts;
}

void erase_column(Table& table, std::size_t column) {
  const auto place = static_cast<std::ptrdiff_t>(column);
  table.columns.erase(table.columns.begin() + place);
  for (std::vector<std::string>& row : table.rows) row.erase(row.begin() + place);
}

std::string exact_text(const std::optional<double>& value) { return value ? shortest(*value) : ""; }

// Five digits, at most four of them places.
std::string value_text(double value) {
  const double size = std::abs(value);
  if (!(size < 1000)) return fmt::format("{:.5g}", value);
  return fixed(value, size < 10 ? 4 : size < 100 ? 3 : 2);
}

std::vector<std::string> first_cells(const Score& score, const std::string& settings) {
  return {score.task,
          score.metric,
          score.length ? std::to_string(*score.length) : "",
          score.depth ? shortest(*score.depth) : "",
          settings,
          std::to_string(score.n)};
}

const std::vector<Table::Column> first_columns{{"task"},        {"metric"},   {"length", true},
                                               {"depth", true}, {"settings"}, {"n", true}};

std::string exact_table(const std::vector<Score>& scores, TableFormat format) {
  Table table{first_columns, {}};
  for (const char* name : {"value", "low", "high", "stderr"}) table.columns.push_back({name, true});
  const std::vector<std::string> settings = differences(scores, false);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    std::vector<std::string>& row = table.rows.emplace_back(first_cells(scores[i], settings[i]));
    for (const std::optional<double>& number :
         {std::optional(scores[i].value), scores[i].low, scores[i].high, scores[i].stderr_value})
      row.push_back(exact_text(number));
  }
  return table.text(format);
}

// Of one task.
std::string told(const std::vector<Score>& scores) {
  Table table{first_columns, {}};
  for (const char* name : {"value", "95 % interval", "stderr"}) table.columns.push_back({name, true});
  const std::vector<std::string> settings = differences(scores, true);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const Score& score = scores[i];
    std::vector<std::string>& row = table.rows.emplace_back(first_cells(score, settings[i]));
    row.push_back(value_text(score.value));
    row.push_back(score.low ? value_text(*score.low) + " to " + value_text(*score.high) : "");
    row.push_back(score.stderr_value ? value_text(*score.stderr_value) : "");
  }
  for (std::size_t c = table.columns.size(); c-- > 0;) {
    const auto is_empty = [&](const std::vector<std::string>& row) { return row[c].empty(); };
    if (c == 0 || std::ranges::all_of(table.rows, is_empty)) erase_column(table, c);
  }
  const std::string text = table.text(TableFormat::plain);
  const bool is_wide = std::ranges::any_of(
      split(text, '\n'), [](const std::string& line) { return code_points(line) > terminal_columns; });
  if (!is_wide || table.columns.back().name != "stderr") return text;
  erase_column(table, table.columns.size() - 1);
  return table.text(TableFormat::plain);
}

}  // namespace

std::string scores_json(const std::string& model, const std::vector<Score>& scores) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Score& score : scores) {
    nlohmann::ordered_json one{
        {"task", score.task}, {"metric", score.metric}, {"length", nullptr}, {"depth", nullptr}};
    if (score.length) one["length"] = *score.length;
    if (score.depth) one["depth"] = *score.depth;
    one["n"] = score.n;
    one["value"] = number(score.value);
    for (const auto& [name, told] :
         {std::pair("low", score.low), {"high", score.high}, {"stderr", score.stderr_value}})
      one[name] = told ? number(*told) : nullptr;
    one["settings"] = nlohmann::ordered_json::parse(score.settings_json);
    list.push_back(std::move(one));
  }
  return nlohmann::ordered_json{{"model", model}, {"scores", std::move(list)}}.dump() + "\n";
}

std::string scores_table(const std::vector<Score>& scores, TableFormat format) {
  if (format != TableFormat::plain) return exact_table(scores, format);
  std::vector<std::vector<Score>> tasks;
  for (const Score& score : scores) {
    if (tasks.empty() || tasks.back()[0].task != score.task) tasks.emplace_back();
    tasks.back().push_back(score);
  }
  std::string text;
  for (const std::vector<Score>& task : tasks) {
    if (tasks.size() > 1) text += (text.empty() ? "" : "\n") + task[0].task + "\n";
    text += told(task);
  }
  return text;
}

}  // namespace mdnlab
