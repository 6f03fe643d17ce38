#include "base/wrapped.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace mdnlab {

std::string wrapped(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines = split(text, '\n');
  for (std::string& line : lines) {
    const std::string indent(std::min(line.find_first_not_of(' '), line.size()), ' ');
    if (code_points(line) <= columns) continue;
    std::string broken = indent;
    std::size_t width = indent.size();
    for (const std::string& word : split(std::string_view(line).substr(indent.size()), ' ')) {
      const std::size_t letters = code_points(word);
      if (width > indent.size() && width + 1 + letters > columns) {
        broken += "\n" + indent;
        width = indent.size();
      } else if (width > indent.size()) {
        broken += ' ';
        ++width;
      }
      broken += word;
      width += letters;
    }
    line = std::move(broken);
  }
  return join(lines, "\n");
}

}  // namespace mdnlab
