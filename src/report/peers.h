// Others' kernel times, from a CSV file of the user's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mdnlab {

struct Peer {
  std::string name;  // whose kernel
  std::string rule;  // that it is held against
  std::int64_t batch = 0, tokens = 0, heads = 0, key_width = 0, value_width = 0;
  std::string direction;  // as in analysis/kernels.sql
  double median_ms = 0;
  std::string source;  // where the figure comes from
};

// The first line names the columns, in any order: peer, rule, batch, tokens, heads, key_width, value_width,
// direction, median_ms, source. Quoted as in RFC 4180; empty lines and lines that begin with # are passed
// over. Code::usage with file and line otherwise.
std::vector<Peer> read_peers(const std::filesystem::path& file);

}  // namespace mdnlab
