// Words for people: the nearest valid word, lists, numbers and durations, shell-free splitting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mdnlab {

// The candidate with the smallest edit distance (insert, delete, replace, swap of neighbours), or ""
// when none is within max(2, a third of the word's length) or none has a character in common with it.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

// `did you mean 'x'?` for the nearest candidate; else `one of: a, b, c`; "" without candidates.
std::string suggestion(std::string_view word, std::span<const std::string> candidates);

std::string quote(std::string_view word);  // 'word' (std::quoted would win over a function of its name)
std::string join(std::span<const std::string> words, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);
std::string trim(std::string_view text);

// Strict: the whole text is the number, finite, in range; else false and `value` is untouched.
bool parse_integer(std::string_view text, std::int64_t& value);
bool parse_real(std::string_view text, double& value);

// The position of the first byte that is not well-formed UTF-8, or npos.
std::size_t invalid_utf8(std::string_view text);
std::size_t code_points(std::string_view text);  // of well-formed UTF-8

// The shortest decimal that reads back as the same double, e.g. 0.1, 1e-15, 3.
std::string shortest(double value);
std::string fixed(double value, int places);  // 0.950; 0 has no sign
std::string grouped(std::int64_t value);      // 417,537,012
std::string duration(double seconds);         // 41s, 3m12s, 2h05m; ? when not finite
std::string bytes_text(std::int64_t bytes);   // 512 B, 64.0 KiB, 1.5 GiB

}  // namespace mdnlab
