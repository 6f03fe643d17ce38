#include "report/peers.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace mdnlab {

namespace {

const std::vector<std::string> columns{"peer",      "rule",        "batch",     "tokens",    "heads",
                                       "key_width", "value_width", "direction", "median_ms", "source"};

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file) : file_(file.string()) {}

  std::vector<Peer> read(const std::string& text) {
    std::vector<std::string> header;
    std::vector<Peer> peers;
    for (std::string line : split(text, '\n')) {
      ++line_;
      if (line.ends_with('\r')) line.pop_back();
      if (trim(line).empty() || line.starts_with('#')) continue;
      if (header.empty()) {
        header = names(line);
        continue;
      }
      peers.push_back(peer(header, cells(line)));
    }
    return peers;
  }

 private:
  [[noreturn]] void fail(std::string what, std::string found, std::string expected, std::string hint = {}) {
    throw Error(Code::usage, {.place = {.file = file_, .line = line_},
                              .what = std::move(what),
                              .found = std::move(found),
                              .expected = std::move(expected),
                              .hint = std::move(hint)});
  }

  std::vector<std::string> cells(std::string_view line) {
    std::vector<std::string> result(1);
    bool is_quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const char c = line[i];
      if (c == '"' && is_quoted && i + 1 < line.size() && line[i + 1] == '"') {
        result.back() += line[++i];
      } else if (c == '"') {
        is_quoted = !is_quoted;
      } else if (c == ',' && !is_quoted) {
        result.emplace_back();
      } else {
        result.back() += c;
      }
    }
    if (is_quoted) fail("a quoted cell has no end", "", "a \" before the end of the line");
    return result;
  }

  std::vector<std::string> names(const std::string& line) {
    std::vector<std::string> header = cells(line);
    for (const std::string& name : header) {
      if (std::ranges::find(columns, name) == columns.end())
        fail("unknown column", quote(name), "", suggestion(name, columns));
    }
    for (const std::string& name : columns) {
      if (std::ranges::count(header, name) != 1)
        fail("each column of a file of peers stands once", join(header, ","), join(columns, ","));
    }
    return header;
  }

  Peer peer(const std::vector<std::string>& header, const std::vector<std::string>& row) {
    if (row.size() != header.size())
      fail("a line has as many cells as the first", std::to_string(row.size()),
           std::to_string(header.size()));
    const auto cell = [&](const char* name) {
      return trim(row[static_cast<std::size_t>(std::ranges::find(header, name) - header.begin())]);
    };
    const auto whole = [&](const char* name) {
      std::int64_t value = 0;
      if (!parse_integer(cell(name), value) || value < 1)
        fail(name, quote(cell(name)), "a whole number from 1");
      return value;
    };
    Peer peer{.name = cell("peer"),
              .rule = cell("rule"),
              .batch = whole("batch"),
              .tokens = whole("tokens"),
              .heads = whole("heads"),
              .key_width = whole("key_width"),
              .value_width = whole("value_width"),
              .direction = cell("direction"),
              .source = cell("source")};
    if (!parse_real(cell("median_ms"), peer.median_ms) || peer.median_ms <= 0)
      fail("median_ms", quote(cell("median_ms")), "a number above 0");
    return peer;
  }

  std::string file_;
  int line_ = 0;
};

}  // namespace

std::vector<Peer> read_peers(const std::filesystem::path& file) { return Reader(file).read(read_file(file)); }

}  // namespace mdnlab
