#include "markdown.h"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace mdnlab {

namespace {

// "# first.yaml", "// leaky/rule.cc"
std::string name_in(const std::string& line) {
  for (const std::string_view mark : {"# ", "// "}) {
    if (!line.starts_with(mark)) continue;
    const std::string word = line.substr(mark.size());
    if (word.find(' ') == std::string::npos && word.find('.') != std::string::npos) return word;
  }
  return {};
}

}  // namespace

std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read " + file.string());
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<Block> blocks(std::string_view markdown, std::string_view language) {
  std::vector<Block> list;
  std::istringstream lines{std::string(markdown)};
  bool inside = false, wanted = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      inside = !inside;
      wanted = inside && line.substr(3) == language;
      if (wanted) list.push_back({line.substr(3), {}, {}});
    } else if (wanted) {
      if (list.back().content.empty()) list.back().name = name_in(line);
      list.back().content += line + "\n";
    }
  }
  if (inside) throw std::runtime_error("a block is never closed");
  return list;
}

void write_blocks(const std::vector<Block>& blocks, const std::filesystem::path& folder) {
  for (const Block& block : blocks) {
    if (block.name.empty()) continue;
    if (std::filesystem::exists(folder / block.name))
      throw std::runtime_error(block.name + " is there already, and it may be a link to a file that ships");
    std::filesystem::create_directories((folder / block.name).parent_path());
    std::ofstream(folder / block.name, std::ios::binary) << block.content;
  }
}

std::string between(std::string_view text, std::string_view begin, std::string_view end) {
  const std::size_t first = text.find(begin), last = text.find(end);
  if (first == std::string_view::npos || last == std::string_view::npos || last < first) {
    throw std::runtime_error("the marks " + std::string(begin) + " and " + std::string(end) +
                             " are not there");
  }
  return std::string(text.substr(first + begin.size(), last - first - begin.size()));
}

}  // namespace mdnlab
