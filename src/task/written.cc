#include "task/written.h"

#include <algorithm>

#include "base/text.h"

namespace mdnlab {

std::string lowered(std::string text) {
  for (char& letter : text) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return text;
}

std::string cleaned(std::string text) {
  std::ranges::replace_if(
      text, [](char letter) { return static_cast<unsigned char>(letter) < 32; }, '\n');
  return trim(text);
}

double contained(const std::vector<std::string>& answers, const std::string& text) {
  const std::string all = lowered(text);
  const auto found = std::ranges::count_if(
      answers, [&](const std::string& answer) { return all.find(lowered(answer)) != std::string::npos; });
  return static_cast<double>(found) / static_cast<double>(answers.size());
}

}  // namespace mdnlab
