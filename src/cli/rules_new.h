// `mdnlab rules new`.
#pragma once

#include <span>
#include <string>

namespace mdnlab {

int rules_new(std::span<const std::string> words);  // returns the exit code

}  // namespace mdnlab
