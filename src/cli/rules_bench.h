#pragma once

#include <span>
#include <string>

namespace mdnlab {

// `mdnlab rules bench`.
int rules_bench(std::span<const std::string> words);

}  // namespace mdnlab
