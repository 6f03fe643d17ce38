// Words for people: the nearest valid word, lists, numbers and durations, shell-free splitting.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mdnlab {

// The candidate with the smallest edit distance (insert, delete, replace, swap of neighbours), or ""
// when none is within max(2, a third of the word's length).
std::string nearest(std::string_view word, std::span<const std::string> candidates);

// `did you mean 'x'?` for the nearest candidate; else `one of: a, b, c`; "" without candidates.
std::string suggestion(std::string_view word, std::span<const std::string> candidates);

std::string quoted(std::string_view word);  // 'word'
std::string join(std::span<const std::string> words, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);
std::string trim(std::string_view text);

// Strict: the whole text is the number, finite, in range; else false and `value` is untouched.
bool parse_integer(std::string_view text, std::int64_t& value);
bool parse_real(std::string_view text, double& value);

// The shortest decimal that reads back as the same double, e.g. 0.1, 1e-15, 3.
std::string shortest(double value);
std::string grouped(std::int64_t value);     // 417,537,012
std::string duration(double seconds);        // 41s, 3m12s, 2h05m
std::string bytes_text(std::int64_t bytes);  // 512 B, 64.0 KiB, 1.5 GiB

}  // namespace mdnlab
