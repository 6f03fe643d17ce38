#include "task/recall.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mdnlab {

namespace {

constexpr std::int64_t reserved_fillers = 64;

std::int64_t context_tokens(const Recall& recall) {
  return 2 * (recall.pairs + recall.updates) + (recall.separator ? 1 : 0);
}

std::int64_t slot_count(const Recall& recall) { return (recall.length - context_tokens(recall)) / 2; }

void write_filler(const Recall& recall, Random& random, std::int64_t* tokens) {
  if (recall.filler == Filler::zero) return;
  const bool reserved = recall.filler == Filler::reserved;
  const std::int64_t lowest = reserved ? recall.vocabulary : 0;
  const auto choices = static_cast<std::uint64_t>(reserved ? reserved_fillers : recall.vocabulary);
  for (std::int64_t t = context_tokens(recall); t < recall.length; ++t)
    tokens[t] = lowest + static_cast<std::int64_t>(random.below(choices));
}

// Weighted drawing without replacement: the D smallest of −ln(u)/weight, in order (exponential races).
std::vector<std::int64_t> draw_slots(const Recall& recall, Random& random) {
  const auto space = static_cast<std::size_t>(slot_count(recall));
  std::vector<double> arrival(space);
  for (std::size_t x = 0; x < space; ++x) {
    const double weight = recall.power * std::pow(static_cast<double>(x + 1), recall.power - 1);
    arrival[x] = -std::log1p(-random.uniform()) / weight;
  }
  std::vector<std::int64_t> slots(space);
  std::iota(slots.begin(), slots.end(), 0);
  std::ranges::partial_sort(slots, slots.begin() + recall.pairs, {},
                            [&](std::int64_t x) { return arrival[static_cast<std::size_t>(x)]; });
  slots.resize(static_cast<std::size_t>(recall.pairs));
  return slots;
}

}  // namespace

Recall read_recall(const Params& options) {
  const std::string& filler = options.text("filler");
  return {.vocabulary = options.integer("vocabulary"),
          .power = options.real("power"),
          .filler = filler == "zero"       ? Filler::zero
                    : filler == "reserved" ? Filler::reserved
                                           : Filler::random,
          .separator = options.boolean("separator")};
}

std::int64_t recall_vocab_size(const Recall& recall) {
  return recall.vocabulary + (recall.filler == Filler::reserved ? reserved_fillers : 0) +
         (recall.separator ? 1 : 0);
}

void check_recall(const Recall& recall, const Params& options, const char* name) {
  if (slot_count(recall) < recall.pairs) {
    const std::int64_t most = (recall.length - context_tokens(recall) + 2 * recall.pairs) / 4;
    throw options.error(
        name,
        fmt::format("{} pairs{} and their queries do not fit in {} tokens", recall.pairs,
                    recall.updates > 0 ? fmt::format(", {} updates", recall.updates) : "", recall.length),
        fmt::format("at most {}{}", std::max<std::int64_t>(0, most), recall.updates > 0 ? " pairs" : ""));
  }
  const std::int64_t keys = recall.vocabulary / 2 - 1, values = recall.vocabulary - recall.vocabulary / 2;
  if (recall.pairs > keys) {
    throw options.error(name, fmt::format("a vocabulary of {} has {} keys", recall.vocabulary, keys),
                        fmt::format("at most {} pairs", keys));
  }
  if (recall.pairs + recall.updates > values) {
    throw options.error(name, fmt::format("a vocabulary of {} has {} values", recall.vocabulary, values),
                        fmt::format("at most {} pairs and updates", values));
  }
}

std::string recall_settings(const Recall& recall, std::uint64_t seed) {
  const std::int64_t values = recall.vocabulary - recall.vocabulary / 2;
  constexpr const char* fillers[] = {"zero", "reserved", "random"};
  return fmt::format(R"({{"pairs":{},{}"vocabulary":{},"power":{},"filler":"{}",{}"seed":{},"chance":{}}})",
                     recall.pairs, recall.updates > 0 ? fmt::format(R"("updates":{},)", recall.updates) : "",
                     recall.vocabulary, recall.power, fillers[static_cast<int>(recall.filler)],
                     recall.separator ? R"("separator":true,)" : "", seed, 1.0 / static_cast<double>(values));
}

void write_recall(const Recall& recall, Random& random, std::int64_t* tokens, std::int64_t* labels) {
  const std::int64_t half = recall.vocabulary / 2, queries = context_tokens(recall);
  write_filler(recall, random, tokens);
  const std::vector<std::int64_t> keys = random.sample(half - 1, recall.pairs);
  const std::vector<std::int64_t> values =
      random.sample(recall.vocabulary - half, recall.pairs + recall.updates);
  std::vector<std::int64_t> last(values.begin(), values.begin() + recall.pairs);  // value of each pair
  for (std::int64_t i = 0; i < recall.pairs + recall.updates; ++i) {
    const auto pair = static_cast<std::size_t>(
        i < recall.pairs ? i
                         : static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(recall.pairs))));
    last[pair] = values[static_cast<std::size_t>(i)];
    tokens[2 * i] = 1 + keys[pair];
    tokens[2 * i + 1] = half + last[pair];
  }
  if (recall.separator) tokens[queries - 1] = recall_vocab_size(recall) - 1;
  const std::vector<std::int64_t> slots = draw_slots(recall, random);
  for (std::size_t pair = 0; pair < slots.size(); ++pair) {
    const std::int64_t query = queries + 2 * slots[pair];
    tokens[query] = 1 + keys[pair];
    labels[query] = half + last[pair];
  }
}

}  // namespace mdnlab
