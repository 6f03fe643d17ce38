// Which choices a figure draws, so that it stays readable; its table has them all.
#pragma once

#include <string>
#include <vector>

#include "report/results.h"
#include "report/section.h"

namespace mdnlab {

inline constexpr double usual_state_bytes = 64 << 10;  // S0 of evaluations.md
inline constexpr std::size_t most_lines = 12;

struct Shown {
  const Choice* choice = nullptr;
  std::string name;
  std::size_t style = 0;
};

// Of several rules each one's choice of the state nearest to 64 KiB, in the style that the rule has
// throughout the report; of a single rule its first choices.
std::vector<Shown> shown(const Results& results, const std::vector<const Choice*>& choices);

extern const char* const shown_words;  // says so, for a figure's `about`

std::vector<LegendEntry> legend_of(const std::vector<Shown>& shown);

// The choices by sweep and the task they are trained on, in order; models from elsewhere are one such group.
std::vector<std::vector<const Choice*>> by_sweep(const Results& results);

// "quickstart, trained on text"
std::string sweep_name(const Choice& choice);

}  // namespace mdnlab
