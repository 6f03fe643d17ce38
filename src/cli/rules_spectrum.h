#pragma once

#include <span>
#include <string>

namespace mdnlab {

// `mdnlab rules spectrum`.
int rules_spectrum(std::span<const std::string> words);

}  // namespace mdnlab
