// `mdnlab rules show`.
#pragma once

#include <span>
#include <string>

namespace mdnlab {

int rules_show(std::span<const std::string> words);

}  // namespace mdnlab
