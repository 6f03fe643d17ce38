// Documents as tests read them: their fenced blocks, and what stands between two marks.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mdnlab {

struct Block {
  std::string language;  // ```sh
  std::string name;      // of the file that the block is: its first line, when that is a comment of one word
  std::string content;
};

std::string read_text(const std::filesystem::path& file);
std::vector<Block> blocks(std::string_view markdown, std::string_view language);

// Writes each named block into `folder`, under its name, which no file there may have.
void write_blocks(const std::vector<Block>& blocks, const std::filesystem::path& folder);

std::string between(std::string_view text, std::string_view begin, std::string_view end);  // marks left out

}  // namespace mdnlab
