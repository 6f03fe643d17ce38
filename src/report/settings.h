// What fixes a score beside its task, metric, length and depth: no row, line or cell mixes two settings.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "report/results.h"

namespace mdnlab {

struct ToldApart {
  std::map<const Question*, std::string> own;  // "set=piqa, samples=4": the settings that not all have alike
  std::string common;  // the others, but where and by which program it was asked: nobody compares those
};

// Of questions that people will see beside each other. The data is told by its file's name, and `chance` not
// at all; nor the settings that `shown` names, which have columns or axes of their own.
ToldApart tell_apart(const Results& results, std::span<const Question* const> questions,
                     std::span<const std::string_view> shown = {});

}  // namespace mdnlab
