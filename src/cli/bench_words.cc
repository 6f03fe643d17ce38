#include "cli/bench_words.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace mdnlab {

ScanShape parse_shape(const std::string& text) {
  ScanShape shape;
  const std::string letters = "BTHKVG";
  std::int64_t* const sizes[] = {&shape.B, &shape.T, &shape.H, &shape.K, &shape.V, &shape.G};
  const std::vector<std::string> words = split(text, ',');
  std::string seen;
  bool good = true;
  for (std::size_t i = 0; good && i < words.size(); ++i) {
    const bool has_letter = !words[i].empty() && letters.find(words[i][0]) != std::string::npos;
    const std::size_t which = has_letter ? letters.find(words[i][0]) : i;
    good = which < letters.size() && seen.find(letters[which]) == std::string::npos &&
           parse_integer(words[i].substr(has_letter ? 1 : 0), *sizes[which]) && *sizes[which] > 0;
    if (good) seen += letters[which];
  }
  good = good &&
         std::ranges::all_of(letters.substr(0, 5), [&](char c) { return seen.find(c) != seen.npos; }) &&
         shape.H % shape.key_heads() == 0;
  if (good) return shape;
  throw Error(Code::usage, {.what = "--shape is no shape",
                            .found = quote(text),
                            .expected = "B1,T1024,H4,K64,V64, or 1,1024,4,64,64; G (key heads) divides H"});
}

std::string shape_text(const ScanShape& shape) {
  return fmt::format("{},{},{},{},{}", shape.B, shape.T, shape.H, shape.K, shape.V) +
         (shape.key_heads() == shape.H ? "" : fmt::format(",G{}", shape.G));
}

std::vector<ScanShape> usual_shapes(std::string_view rule, c10::Device device) {
  if (device.is_cpu()) return {ScanShape{}};
  constexpr ScanShape kMdn400m{8, 4096, 6, 128, 256}, kLong{2, 16384, 6, 128, 256},
      kSquare{8, 4096, 16, 128, 128}, kMdn1b{8, 4096, 6, 256, 512}, kMamba2{8, 4096, 32, 128, 64, 1};
  if (rule == "mdn") return {kMdn400m, kLong, kSquare, kMdn1b};
  if (rule == "gated_deltanet") return {kMdn400m, kSquare};
  if (rule == "mamba2" || rule == "scalar_ssd") return {kMamba2};
  if (rule == "kda" || rule == "kda_momentum" || rule == "deltanet") return {kSquare};
  return {kMdn400m};
}

std::vector<ScanShape> attention_shapes(const std::vector<ScanShape>& scans) {
  std::vector<ScanShape> list;
  for (const ScanShape& scan : scans) {
    const auto is_same = [&](const ScanShape& known) { return known.B == scan.B && known.T == scan.T; };
    if (std::ranges::any_of(list, is_same)) continue;
    for (const std::int64_t width : {64, 128}) list.push_back({scan.B, scan.T, 16, width, width});
  }
  return list;
}

}  // namespace mdnlab
