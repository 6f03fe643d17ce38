// What a model wrote, as it is scored.
#pragma once

#include <string>
#include <vector>

namespace mdnlab {

std::string lowered(std::string text);  // A to Z

// Control characters to newlines, then trimmed.
std::string cleaned(std::string text);

// The share of the answers that `text` contains, whatever their case.
double contained(const std::vector<std::string>& answers, const std::string& text);

}  // namespace mdnlab
