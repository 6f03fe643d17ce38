#include "eval/ask.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "base/error.h"
#include "base/text.h"
#include "eval/influence.h"
#include "eval/read_items.h"
#include "eval/write_items.h"

namespace mdnlab {

namespace {

constexpr std::size_t items_at_once = 256;      // made and sorted
constexpr std::size_t sequences_at_once = 32;   // written side by side
constexpr std::int64_t items_tokens = 1 << 20;  // of those at once

void check_ids(const Item& item, std::int64_t vocab_size) {
  const auto check = [&](std::int64_t token) {
    if (token >= 0 && token < vocab_size) return;
    throw Error(Code::usage, {.what = "the task has tokens that the model does not have",
                              .found = fmt::format("id {}", token),
                              .expected = fmt::format("0 to {}", grouped(vocab_size - 1)),
                              .hint = "its text was made tokens by another tokenizer?"});
  };
  std::ranges::for_each(item.prompt, check);
  for (const auto& continuation : item.continuations) std::ranges::for_each(continuation, check);
  for (const Label& label : item.labels) check(label.token);
}

std::int64_t tokens_of(const Item& item) { return std::ssize(item.prompt); }

// Prompts of about one length are read together; a longer one would go on alone, token by token.
bool are_alike(const Item& shorter, const Item& longer) {
  return tokens_of(longer) - tokens_of(shorter) <= std::max<std::int64_t>(16, tokens_of(shorter) / 16);
}

struct Made {
  std::vector<std::int64_t> indices;
  std::vector<Item> items;
};

// Ends of the parts of `made` that are answered together.
std::vector<std::size_t> parts_of(const Made& made, std::int64_t batch_tokens) {
  std::vector<std::size_t> ends;
  std::size_t first = 0;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < made.items.size(); ++i) {
    const Item &begin = made.items[first], &item = made.items[i];
    const bool writes = item.most_tokens > 0, is_same_kind = writes == (begin.most_tokens > 0);
    const bool fits = writes ? i - first < sequences_at_once && are_alike(begin, item)
                             : tokens + tokens_of(item) <= batch_tokens;
    if (i > first && !(is_same_kind && fits)) {
      ends.push_back(i);
      first = i;
      tokens = 0;
    }
    tokens += tokens_of(item);
  }
  ends.push_back(made.items.size());
  return ends;
}

Made make_items(const Items& items, std::span<const std::int64_t> indices, std::int64_t vocab_size) {
  Made made;
  std::vector<Item> list;
  std::int64_t tokens = 0;
  for (const std::int64_t index : indices) {
    Item item = items.item(index);
    check_ids(item, vocab_size);
    tokens += tokens_of(item);
    made.indices.push_back(index);
    list.push_back(std::move(item));
    if (list.size() == items_at_once || tokens > items_tokens) break;
  }
  std::vector<std::size_t> order(list.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(
      order, {}, [&](std::size_t i) { return std::pair(list[i].most_tokens > 0, tokens_of(list[i])); });
  const std::vector<std::int64_t> given = made.indices;
  for (std::size_t place = 0; place < order.size(); ++place) {
    made.indices[place] = given[order[place]];
    made.items.push_back(std::move(list[order[place]]));
  }
  return made;
}

}  // namespace

void ask(const LanguageModel& given, const Items& items, std::span<const std::int64_t> indices,
         const AskHooks& hooks, std::int64_t batch_tokens) {
  const LanguageModel model = given.without_gradients();
  while (!indices.empty()) {
    const Made made = make_items(items, indices, model.vocab_size());
    indices = indices.subspan(made.items.size());
    std::size_t first = 0;
    for (const std::size_t end : parts_of(made, batch_tokens)) {
      if (hooks.should_stop()) return;
      const std::span<const Item> part = std::span(made.items).subspan(first, end - first);
      const bool writes = part[0].most_tokens > 0;
      if (writes && !items.tokenizer()) throw std::logic_error("items want text and have no tokenizer");
      const std::vector<Answer> answers = writes ? write_items(model, part, *items.tokenizer(), batch_tokens)
                                          : part[0].influence_lags.empty()
                                              ? read_items(model, part, batch_tokens)
                                              : measure_influence(model, part);
      for (std::size_t i = 0; i < part.size(); ++i)
        hooks.answered(made.indices[first + i], part[i], answers[i]);
      first = end;
    }
  }
}

}  // namespace mdnlab
