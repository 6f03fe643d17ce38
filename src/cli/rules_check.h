#pragma once

#include <span>
#include <string>

namespace mdnlab {

int rules_check(std::span<const std::string> words);  // `mdnlab rules check`; 1 when a case failed

}  // namespace mdnlab
