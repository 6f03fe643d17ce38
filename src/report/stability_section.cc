// Where the rules of the database are stable within their gates.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "check/stability/map_svg.h"
#include "config/yaml.h"
#include "model/spec.h"
#include "report/sections.h"
#include "store/named_query.h"

namespace mdnlab {

namespace {

using stability::Certificate;
using stability::GateSet;
using stability::RadiusMap;
using Kind = Grid::Kind;

constexpr std::int64_t cells = 64;  // of a map, a side
constexpr std::size_t most_maps = 12;

// The rules of the layers of every run, each choice of options once.
std::vector<RuleChoice> rules_in(Store& store, const Plugins& plugins, std::set<std::string>& unknown) {
  std::vector<RuleChoice> rules;
  std::set<std::string> seen;
  Statement row = store.sql().query("select distinct config_json, rule from run order by rule, config_json");
  while (row.step()) {
    try {
      for (const RuleChoice& layer : read_model(parse_yaml(row.text(0), "run"), plugins).layers) {
        if (seen.insert(layer.name + layer.options.json()).second) rules.push_back(layer);
      }
    } catch (const Error&) {  // its plugin is not here, or was another then
      unknown.insert(row.text(1));
    }
  }
  return rules;
}

std::string certificate_words(const Certificate& certificate) {
  switch (certificate.norm) {
    case Certificate::Norm::none: return "none known";
    case Certificate::Norm::memory: return "‖S‖ never grows";
    case Certificate::Norm::sum: return "‖S‖ + ‖M‖ never grows";
    case Certificate::Norm::escrow: break;
  }
  return "escrow: W never grows";
}

std::vector<Cell> row_of(const GateSet& set, const RadiusMap& map) {
  std::int64_t reached = 0, growing = 0;
  double largest = 0;
  for (std::int64_t y = 0; y < map.cells; ++y) {
    for (std::int64_t x = 0; x < map.cells; ++x) {
      const auto middle = [&](std::int64_t cell) {
        return (static_cast<double>(cell) + 0.5) / static_cast<double>(map.cells);
      };
      if (set.excess(map.gate(middle(x) * map.most_x, middle(y))) > 0) continue;
      const double radius = map.radius[static_cast<std::size_t>(y * map.cells + x)];
      ++reached;
      growing += radius > 1 + 1e-9;
      largest = std::max(largest, radius);
    }
  }
  return {
      words(set.rule),
      words(set.constraint),
      real(map.alpha, 3),
      real(largest, 3),
      real(reached > 0 ? std::optional(100.0 * static_cast<double>(growing) / static_cast<double>(reached))
                       : std::nullopt,
           1),
      count(reached),
      words(certificate_words(set.certificate))};
}

}  // namespace

Section stability_section(Store& store, const Plugins& plugins) {
  Section section{
      .id = "stability", .title = "Stability maps", .how_to_fill = "mdnlab rules spectrum mdn --svg mdn.svg"};
  Figure figure{
      .file = "stability",
      .title = "Spectral radius of one token along its own key",
      .about =
          "Over the gates of each rule and choice of its options in the database, at the largest decay "
          "factor where it is no axis. Above 1 a key that is written again and again grows. The table "
          "counts the cells that the rule's gates can reach.",
      .queries = {"configurations"},
      .is_wide = true};
  figure.table.columns = {{"rule"},
                          {"gate_constraint"},
                          {"alpha", Kind::number},
                          {"largest_radius", Kind::number},
                          {"growing_percent", Kind::number},
                          {"gates_n", Kind::number},
                          {"certificate"}};
  std::set<std::string> unknown;
  std::set<std::vector<std::string>> drawn;
  for (const RuleChoice& rule : rules_in(store, plugins, unknown)) {
    const std::optional<GateSet> set =
        stability::described_gates(plugins.find(rule.name).info(), rule.options);
    if (!set || drawn.size() == most_maps) continue;
    const RadiusMap map = stability::radius_map(*set, 1, cells);
    std::vector<Cell> row = row_of(*set, map);
    std::vector<std::string> shown;
    for (const Cell& cell : row) shown.push_back(cell.shown);
    if (!drawn.insert(shown).second) continue;  // options that do not touch the gates
    figure.table.rows.push_back(std::move(row));
    figure.panels.push_back({"", stability::map_svg(*set, map)});
  }
  if (!unknown.empty()) {
    figure.about += " Left out, since no plugin here reads their options: " +
                    join(std::vector<std::string>(unknown.begin(), unknown.end()), ", ") + ".";
  }
  if (!figure.panels.empty() || !unknown.empty()) section.figures.push_back(std::move(figure));
  return section;
}

}  // namespace mdnlab
