// `mdnlab rules apply`.
#pragma once

#include <span>
#include <string>

namespace mdnlab {

int rules_apply(std::span<const std::string> words);  // returns the exit code

}  // namespace mdnlab
