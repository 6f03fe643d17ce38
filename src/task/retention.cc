// How much of what was written can still be told: I(g) = log2 n_v − mean(−log2 p̂(v* | context, query)) bits
// for a query g tokens after its write, with w other writes in between; p̂ is renormalised over the n_v
// values, which are drawn with replacement and equally probable, so that I(g) is a lower bound of the mutual
// information. And what belongs to it: I(new) − I(old) after a value was written over another, and the share
// of `pairs` pairs that is recalled. RET, C90 and half-life follow from these (statistics/retention.h).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/text.h"
#include "task/retention_sequences.h"
#include "task/sequences.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "keys", .type = Type::integer, .preset = "1024", .doc = "different keys", .least = 2},
    {.name = "values", .type = Type::integer, .preset = "64", .doc = "n_v: equiprobable values", .least = 2},
    {.name = "length",
     .type = Type::integer,
     .preset = nullptr,
     .doc = "tokens of a training sequence; train.seq_len when unset",
     .least = 8},
    {.name = "lags",
     .type = Type::integers,
     .preset = nullptr,
     .doc = "g: tokens from a write to its query, even; when unset 16, 32, … below the training length",
     .least = 2},
    {.name = "writes",
     .type = Type::integers,
     .preset = "[0, 8, 32, 128, 512]",
     .doc = "w: writes of other keys in between; asked at each lag that holds them, 2·w + 2 ≤ g",
     .least = 0},
    {.name = "pairs",
     .type = Type::integers,
     .preset = nullptr,
     .doc = "pairs to recall, four tokens each; when unset 1, 2, 4, … that fit the training length",
     .least = 1},
    {.name = "samples",
     .type = Type::integer,
     .preset = "500",
     .doc = "test items of each number",
     .least = 1},
    {.name = "seed", .type = Type::integer, .preset = "0", .doc = "of the test items", .least = 0},
    train_examples_field,
    {.name = "test_examples",
     .type = Type::integer,
     .preset = "1000",
     .doc = "sequences of each validation while training",
     .least = 1}};

constexpr std::uint64_t purpose = 0x726574656e74;  // of the random streams

// What is asked `samples` times.
struct Cell {
  enum class Kind { lag, overwrite, pairs } kind;
  std::int64_t number;      // lag or pairs
  std::int64_t writes = 0;  // of a lag
};

std::vector<std::int64_t> listed(const Params& options, const char* name, std::int64_t first,
                                 std::int64_t most) {
  if (options.is_set(name)) return options.integers(name);
  std::vector<std::int64_t> list;
  for (std::int64_t number = first; number <= most; number *= 2) list.push_back(number);
  return list;
}

std::vector<Cell> cells_of(const Params& options, const RetentionWords& words, std::int64_t length) {
  std::vector<Cell> cells;
  const std::vector<std::int64_t> lags = listed(options, "lags", 16, length - 1);
  for (const std::int64_t lag : lags) {
    if (lag % 2 != 0)
      throw options.error("lags", fmt::format("the lag {} is odd", lag), "even numbers of tokens");
    for (const std::int64_t writes : options.integers("writes")) {
      if (2 * writes + 2 > lag) continue;
      if (writes >= words.keys)
        throw options.error("keys", fmt::format("{} writes and a query need as many keys and one", writes),
                            fmt::format("at least {}", writes + 1));
      cells.push_back({Cell::Kind::lag, lag, writes});
    }
  }
  for (const std::int64_t lag : lags) cells.push_back({Cell::Kind::overwrite, lag});
  for (const std::int64_t pairs : listed(options, "pairs", 1, std::min(length / 4, words.keys))) {
    if (pairs > words.keys)
      throw options.error("pairs", fmt::format("{} pairs need as many keys", pairs),
                          fmt::format("at most {}", words.keys));
    cells.push_back({Cell::Kind::pairs, pairs});
  }
  if (cells.empty()) throw options.error("lags", "nothing is asked: no lag and no pairs", "e.g. [16, 32]");
  return cells;
}

class RetentionItems final : public Items {
 public:
  RetentionItems(RetentionWords words, std::vector<Cell> cells, std::int64_t samples, std::uint64_t seed)
      : words_(words), cells_(std::move(cells)), samples_(samples), seed_(seed) {}

  std::int64_t count() const override { return static_cast<std::int64_t>(cells_.size()) * samples_; }

  Item item(std::int64_t index) const override {
    const Cell& cell = cell_of(index);
    // The sample's own words, not its place: an item stays the same when more is asked.
    Random random{seed_,
                  purpose,
                  100 + static_cast<std::uint64_t>(cell.kind),  // beside the splits' streams
                  static_cast<std::uint64_t>(cell.number),
                  static_cast<std::uint64_t>(cell.writes),
                  static_cast<std::uint64_t>(index % samples_)};
    switch (cell.kind) {
      case Cell::Kind::lag: return lag_item(words_, random, cell.number, cell.writes);
      case Cell::Kind::overwrite: return overwrite_item(words_, random, cell.number);
      case Cell::Kind::pairs: break;
    }
    return pairs_item(words_, random, cell.number);
  }

  Mark mark(std::int64_t index, const Item& item, const Answer& answer) const override {
    const Cell& cell = cell_of(index);
    const auto bits = [&](std::size_t label) {
      return answer.log_probabilities[0][label] / std::numbers::ln2;
    };
    const auto told = [&](const char* metric, double value, const std::string& settings) {
      const std::string wanted = std::to_string(item.labels[0].token);
      return Mark{cell.kind == Cell::Kind::pairs ? fmt::format("{} pairs", cell.number) : wanted,
                  fixed(value, 3),
                  {{.metric = metric,
                    .value = value,
                    .cell = fmt::format(R"({{{},"values":{}}})", settings, words_.values)}}};
    };
    switch (cell.kind) {
      case Cell::Kind::lag:
        return told("information_bits", std::log2(static_cast<double>(words_.values)) + bits(0),
                    fmt::format(R"("lag":{},"writes":{})", cell.number, cell.writes));
      case Cell::Kind::overwrite:
        return told("overwrite_bits", bits(0) - bits(1), fmt::format(R"("lag":{})", cell.number));
      case Cell::Kind::pairs: break;
    }
    const std::vector<bool>& right = answer.highest[0];
    const auto recalled = static_cast<double>(std::ranges::count(right, true));
    return told(
        "recall", recalled / static_cast<double>(right.size()),
        fmt::format(R"("pairs":{},"chance":{})", cell.number, 1.0 / static_cast<double>(words_.values)));
  }

 private:
  const Cell& cell_of(std::int64_t index) const { return cells_[static_cast<std::size_t>(index / samples_)]; }

  RetentionWords words_;
  std::vector<Cell> cells_;
  std::int64_t samples_;
  std::uint64_t seed_;
};

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const RetentionWords words{options.integer("keys"), options.integer("values")};
  const std::int64_t length = options.is_set("length") ? options.integer("length") : context.seq_len;
  if (length < 8)
    throw options.error("length", fmt::format("{} tokens are too few to write and ask", length),
                        "at least 8");
  const auto write = [=](Random& random, std::int64_t* tokens, std::int64_t* labels) {
    write_retention(words, random, length, tokens, labels);
  };
  const auto items = [=, cells = cells_of(options, words, length), samples = options.integer("samples"),
                      seed = static_cast<std::uint64_t>(options.integer("seed"))] {
    return std::make_unique<const RetentionItems>(words, cells, samples, seed);
  };
  return sequence_task(
      {.task = "retention",
       .purpose = purpose,
       .seed = context.seed,
       .vocab_size = words.vocab_size(),
       .trained = {{.length = length, .examples = options.integer("train_examples"), .write = write}},
       .test_examples = options.integer("test_examples"),
       .items = items});
}

}  // namespace

const TaskKind retention_task{
    "retention", 1,      "bits of a value that can still be told, by lag, writes in between and pairs",
    false,       fields, make};

}  // namespace mdnlab
