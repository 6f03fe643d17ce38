// What did not reach its end, and what each run was.
#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "report/sections.h"
#include "store/named_query.h"

namespace mdnlab {

namespace {

// The YAML without the line that names the seed: runs that are equal but for it are one document.
std::string without_seed(const std::string& yaml) {
  static constexpr std::string_view key = "seed:";
  std::string result = yaml;
  for (std::size_t at = 0; (at = result.find(key, at)) != std::string::npos; at += key.size()) {
    std::size_t end = at + key.size();
    while (end < result.size() && result[end] != '\n' && result[end] != ',' && result[end] != '}') ++end;
    result.erase(at + key.size(), end - at - key.size());
  }
  return result;
}

}  // namespace

Section failure_section(Store& store) {
  Section section{.id = "failures", .title = "Failures"};
  Figure figure{.file = "failures",
                .title = "Runs that did not reach their end",
                .about = "A diverged seed stands in every mean above as 0 where more is better.",
                .queries = {"failures"}};
  using Kind = Grid::Kind;
  figure.table.columns = {{"run"},
                          {"rule"},
                          {"task"},
                          {"seed", Kind::number},
                          {"state"},
                          {"step", Kind::number},
                          {"steps", Kind::number},
                          {"last_loss", Kind::number},
                          {"error"},
                          {"sweeps"}};
  Statement row = store.sql().query(named_query("failures").sql);
  while (row.step()) {
    figure.table.rows.push_back({words(row.text(0)), words(row.text(2)), words(row.text(3)),
                                 count(row.integer(4)), words(row.text(5)), count(row.integer(6)),
                                 count(row.integer(7)), real(row.real_or_null(9), 4), words(row.text(8)),
                                 words(row.text(12))});
  }
  if (!figure.table.rows.empty()) section.figures.push_back(std::move(figure));
  return section;
}

Section configuration_section(Store& store) {
  Section section{.id = "configurations", .title = "Configurations"};
  std::map<std::string, std::size_t> place_of;
  Statement row = store.sql().query(named_query("configurations").sql);
  while (row.step()) {
    const std::string yaml = row.text(8);
    const std::string run = fmt::format("{} (seed {}, {})", row.text(1), row.integer(5), row.text(6));
    const auto [place, is_new] = place_of.emplace(without_seed(yaml), section.texts.size());
    if (is_new)
      section.texts.push_back({.title = fmt::format("{}: {}", row.text(2), run), .body = yaml});
    else
      section.texts[place->second].title += ", " + run;
  }
  return section;
}

}  // namespace mdnlab
