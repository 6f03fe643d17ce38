// Perplexity against position: the text in blocks of `lengths` tokens, each read from nothing; in buckets of
// positions, exp(Σ −ln p / Σ tokens). Documents of the text are joined by the token that ends one.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "data/documents.h"
#include "task/continuation.h"
#include "task/given_lines.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {path_field,
                            {.name = "text_field",
                             .type = Type::text,
                             .preset = "text",
                             .doc = "the key of the text in each line of a .jsonl file"},
                            {.name = "lengths",
                             .type = Type::integers,
                             .preset = "[28672]",
                             .doc = "tokens of a block, a reading each",
                             .least = 2},
                            {.name = "bucket",
                             .type = Type::integer,
                             .preset = "2048",
                             .doc = "positions that share a score",
                             .least = 1},
                            {.name = "samples",
                             .type = Type::integer,
                             .preset = "0",
                             .doc = "blocks of each length, from the text's beginning; 0: all",
                             .least = 0}};

class BlockItems final : public Items {
 public:
  struct Block {
    std::int64_t length, first;  // tokens
  };

  BlockItems(std::shared_ptr<const std::vector<std::int64_t>> tokens, std::vector<Block> blocks,
             std::int64_t bucket)
      : tokens_(std::move(tokens)), blocks_(std::move(blocks)), bucket_(bucket) {}

  std::int64_t count() const override { return std::ssize(blocks_); }

  Item item(std::int64_t index) const override {
    const Block& block = blocks_[static_cast<std::size_t>(index)];
    const auto first = tokens_->begin() + block.first;
    Item item{.prompt = {first, first + block.length}, .length = block.length};
    for (std::int64_t t = 0; t + 1 < block.length; ++t) item.labels.push_back({t, first[t + 1]});
    return item;
  }

  Mark mark(std::int64_t, const Item& item, const Answer& answer) const override {
    Mark mark;
    const std::vector<double>& ln_p = answer.log_probabilities[0];
    for (std::int64_t from = 0; from < std::ssize(ln_p); from += bucket_) {
      const std::int64_t to = std::min(from + bucket_, std::ssize(ln_p));
      double nll = 0;
      for (std::int64_t t = from; t < to; ++t) nll -= ln_p[static_cast<std::size_t>(t)];
      const auto tokens = static_cast<double>(to - from);
      mark.values.push_back({.metric = "perplexity",
                             .value = nll / tokens,
                             .weight = tokens,
                             .mean = Mean::exponential,
                             .cell = fmt::format(R"({{"position_from":{},"position_to":{}}})", from,
                                                 std::min(from + bucket_, *item.length))});
    }
    return mark;
  }

 private:
  std::shared_ptr<const std::vector<std::int64_t>> tokens_;
  std::vector<Block> blocks_;
  std::int64_t bucket_;
};

std::vector<BlockItems::Block> blocks_of(const Params& options, std::int64_t tokens) {
  std::vector<BlockItems::Block> blocks;
  for (const std::int64_t length : options.integers("lengths")) {
    if (length > tokens) {
      throw options.error(
          "lengths",
          fmt::format("the text has {} tokens, too few for a block of {}", grouped(tokens), grouped(length)),
          "at most " + grouped(tokens));
    }
    const std::int64_t wanted = options.integer("samples"), most = tokens / length;
    for (std::int64_t i = 0; i < (wanted == 0 ? most : std::min(wanted, most)); ++i)
      blocks.push_back({length, i * length});
  }
  if (blocks.empty()) throw options.error("lengths", "lengths is empty", "[28672]");
  return blocks;
}

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const std::filesystem::path file = given_file(options, context);
  const auto tokens = std::make_shared<std::vector<std::int64_t>>();
  read_documents(file, options.text("text_field"), [&](std::string_view document) {
    if (!tokens->empty() && context.tokenizer->end_of_text())
      tokens->push_back(*context.tokenizer->end_of_text());
    const std::vector<std::int64_t> more = tokens_of(*context.tokenizer, std::string(document));
    tokens->insert(tokens->end(), more.begin(), more.end());
  });
  const auto blocks = blocks_of(options, std::ssize(*tokens));
  return asking_task(file, context, [=, bucket = options.integer("bucket")] {
    return std::make_unique<const BlockItems>(tokens, blocks, bucket);
  });
}

}  // namespace

const TaskKind perplexity_by_position_task{"perplexity_by_position",
                                           1,
                                           "perplexity of a text by how far into a block a token stands",
                                           false,
                                           fields,
                                           make,
                                           false};

}  // namespace mdnlab
