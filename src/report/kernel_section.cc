// Kernel times beside others'.
#include <fmt/format.h>

#include <algorithm>

#include "report/chart.h"
#include "report/peers.h"
#include "report/sections.h"
#include "store/named_query.h"

namespace mdnlab {

namespace {

using Kind = Grid::Kind;

struct Timing {
  std::string rule, device, dtype;
  std::int64_t batch = 0, tokens = 0, heads = 0, key_width = 0, value_width = 0;
  std::string direction;
  double median_ms = 0, spread_ms = 0, peak_mib = 0, tokens_per_second = 0;
  std::string machine, created_at;

  bool is_shape_of(const Peer& peer) const {
    return rule == peer.rule && batch == peer.batch && tokens == peer.tokens && heads == peer.heads &&
           key_width == peer.key_width && value_width == peer.value_width && direction == peer.direction;
  }
  std::string shape() const {
    return fmt::format("B{} T{} H{} K{} V{}", batch, tokens, heads, key_width, value_width);
  }
};

std::vector<Timing> load_timings(Store& store) {
  std::vector<Timing> timings;
  Statement row = store.sql().query(named_query("kernels").sql);
  while (row.step()) {
    const std::string gpu = row.text(13);
    const bool is_gpu = row.text(1) != "cpu";
    timings.push_back({.rule = row.text(0),
                       .device = row.text(1),
                       .dtype = row.text(2),
                       .batch = row.integer(3),
                       .tokens = row.integer(4),
                       .heads = row.integer(5),
                       .key_width = row.integer(6),
                       .value_width = row.integer(7),
                       .direction = row.text(8),
                       .median_ms = row.real(9),
                       .spread_ms = row.real(10),
                       .peak_mib = row.real(11),
                       .tokens_per_second = row.real(12),
                       .machine = is_gpu ? gpu : row.text(14),
                       .created_at = row.text(15)});
  }
  return timings;
}

constexpr const char* ours = "this program";

// A name has one style throughout a figure, and a line of its legend.
std::size_t style_of(const std::string& name, std::vector<LegendEntry>& legend) {
  auto entry = std::ranges::find(legend, name, &LegendEntry::name);
  if (entry == legend.end()) entry = legend.insert(legend.end(), {name, legend.size()});
  return entry->style;
}

}  // namespace

Section kernel_section(Store& store, const std::optional<std::filesystem::path>& peers_file) {
  Section section{.id = "kernels",
                  .title = "Kernel times",
                  .how_to_fill = "mdnlab rules bench --device cuda --db mdnlab.db"};
  const std::vector<Peer> peers = peers_file ? read_peers(*peers_file) : std::vector<Peer>();
  std::vector<std::pair<std::string, std::vector<Timing>>> machines;
  for (Timing& timing : load_timings(store)) {
    const std::string machine = timing.machine + ", " + timing.dtype;
    auto at = std::ranges::find(machines, machine, &std::pair<std::string, std::vector<Timing>>::first);
    if (at == machines.end()) at = machines.insert(machines.end(), {machine, {}});
    at->second.push_back(std::move(timing));
  }
  for (const auto& [machine, timings] : machines) {
    Figure figure{
        .file = fmt::format("kernels_{}", section.figures.size() + 1),
        .title = machine,
        .about =
            "The newest median of this program, and others' at the same rule, shape and direction. B "
            "sequences of T tokens, H heads with keys of K and values of V numbers. The spread is that "
            "between the quartiles of the repetitions.",
        .legend = {{ours, 0}},
        .queries = {"kernels"}};
    figure.table.columns = {{"rule"},
                            {"direction"},
                            {"shape"},
                            {"median_ms", Kind::number},
                            {"spread_ms", Kind::number},
                            {"peak_mib", Kind::number},
                            {"tokens_per_second", Kind::number},
                            {"peer"},
                            {"peer_ms", Kind::number},
                            {"times_as_fast", Kind::number},
                            {"peer_source"},
                            {"timed_at"}};
    std::vector<std::string> directions;
    for (const Timing& timing : timings) {
      if (std::ranges::find(directions, timing.direction) == directions.end())
        directions.push_back(timing.direction);
    }
    for (const std::string& direction : directions) {
      DotChart chart{.x_label = "median time (ms, logarithmic)"};
      for (const Timing& timing : timings) {
        if (timing.direction != direction) continue;
        DotChart::Row drawn{.label = timing.rule + "  " + timing.shape(),
                            .dots = {{ours, 0, timing.median_ms}}};
        const auto add = [&](const Peer* peer) {
          figure.table.rows.push_back(
              {words(timing.rule), words(direction), words(timing.shape()), real(timing.median_ms, 3),
               real(timing.spread_ms, 3), real(timing.peak_mib, 0), real(timing.tokens_per_second, 0),
               words(peer ? peer->name : ""), real(peer ? std::optional(peer->median_ms) : std::nullopt, 3),
               real(peer ? std::optional(peer->median_ms / timing.median_ms) : std::nullopt, 2),
               words(peer ? peer->source : ""), words(timing.created_at.substr(0, 10))});
        };
        for (const Peer& peer : peers) {
          if (!timing.is_shape_of(peer)) continue;
          drawn.dots.push_back({peer.name, style_of(peer.name, figure.legend), peer.median_ms});
          add(&peer);
        }
        if (drawn.dots.size() == 1) add(nullptr);
        chart.rows.push_back(std::move(drawn));
      }
      figure.panels.push_back({direction, dot_chart(chart)});
    }
    section.figures.push_back(std::move(figure));
  }
  return section;
}

}  // namespace mdnlab
