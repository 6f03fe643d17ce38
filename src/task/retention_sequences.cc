#include "task/retention_sequences.h"

#include <algorithm>
#include <cmath>

namespace mdnlab {

namespace {

std::int64_t draw(Random& random, std::int64_t below) {
  return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(below)));
}

// 1 … most, the logarithm uniform.
std::int64_t draw_log_uniform(Random& random, std::int64_t most) {
  const double drawn = std::exp(random.uniform(0, std::log(static_cast<double>(most) + 1)));
  return std::clamp(static_cast<std::int64_t>(drawn), std::int64_t{1}, most);
}

std::int64_t draw_value(const RetentionWords& words, Random& random) {
  return words.keys + draw(random, words.values);
}

void fill(const RetentionWords& words, Random& random, std::int64_t* tokens, std::int64_t count) {
  for (std::int64_t t = 0; t < count; ++t) tokens[t] = words.first_filler() + draw(random, 64);
}

// Where the writes of a training sequence stand and which slot asks for each.
struct Layout {
  std::vector<std::int64_t> key_written, key_asked;  // by slot; −1: none
};

Layout draw_layout(const RetentionWords& words, Random& random, std::int64_t slots) {
  const std::int64_t writes = draw_log_uniform(random, std::min(slots / 2, words.keys));
  const std::int64_t first_part = writes + draw(random, slots - 2 * writes + 1);
  std::vector<std::int64_t> at = random.sample(first_part, writes);
  std::ranges::sort(at);
  std::vector<std::int64_t> key = random.sample(words.keys, writes);
  for (std::int64_t i = 1; i < writes; ++i) {
    if (draw(random, 4) == 0)
      key[static_cast<std::size_t>(i)] = key[static_cast<std::size_t>(draw(random, i))];
  }
  const auto count = static_cast<std::size_t>(slots);
  Layout layout{std::vector<std::int64_t>(count, -1), std::vector<std::int64_t>(count, -1)};
  for (std::size_t i = 0; i < at.size(); ++i) layout.key_written[static_cast<std::size_t>(at[i])] = key[i];
  const auto is_free = [&](std::int64_t slot) {
    return layout.key_written[static_cast<std::size_t>(slot)] < 0 &&
           layout.key_asked[static_cast<std::size_t>(slot)] < 0;
  };
  // As many slots as writes lie behind the first part: every write finds one that is free.
  for (const std::int64_t i : random.sample(writes, writes)) {
    const std::int64_t written = at[static_cast<std::size_t>(i)];
    const std::int64_t wanted = written + draw_log_uniform(random, slots - 1 - written);
    std::int64_t slot = wanted;
    while (slot < slots && !is_free(slot)) ++slot;
    if (slot == slots) {
      for (slot = wanted - 1; !is_free(slot);) --slot;
    }
    layout.key_asked[static_cast<std::size_t>(slot)] = key[static_cast<std::size_t>(i)];
  }
  return layout;
}

Item item_of(const RetentionWords& words, std::vector<std::int64_t> prompt, std::vector<Label> labels) {
  return {.prompt = std::move(prompt),
          .labels = std::move(labels),
          .among = {{words.keys, words.first_filler()}}};
}

}  // namespace

void write_retention(const RetentionWords& words, Random& random, std::int64_t length, std::int64_t* tokens,
                     std::int64_t* labels) {
  const Layout layout = draw_layout(words, random, length / 2);
  fill(words, random, tokens, length);
  std::vector<std::int64_t> value(static_cast<std::size_t>(words.keys), 0);
  for (std::size_t slot = 0; slot < layout.key_written.size(); ++slot) {
    std::int64_t* const token = tokens + 2 * slot;
    if (const std::int64_t key = layout.key_written[slot]; key >= 0) {
      token[0] = key;
      token[1] = value[static_cast<std::size_t>(key)] = draw_value(words, random);
    } else if (const std::int64_t asked = layout.key_asked[slot]; asked >= 0) {
      token[0] = asked;
      labels[2 * slot] = value[static_cast<std::size_t>(asked)];
    }
  }
}

Item lag_item(const RetentionWords& words, Random& random, std::int64_t lag, std::int64_t writes) {
  std::vector<std::int64_t> prompt(static_cast<std::size_t>(retention_lead + lag + 1));
  fill(words, random, prompt.data(), retention_lead + lag);
  const std::vector<std::int64_t> keys = random.sample(words.keys, writes + 1);
  const auto write = [&](std::int64_t position, std::int64_t key) {
    prompt[static_cast<std::size_t>(position)] = key;
    return prompt[static_cast<std::size_t>(position + 1)] = draw_value(words, random);
  };
  const std::int64_t wanted = write(retention_lead, keys[0]);
  const std::vector<std::int64_t> slots = random.sample(lag / 2 - 1, writes);
  for (std::size_t i = 0; i < slots.size(); ++i) write(retention_lead + 2 + 2 * slots[i], keys[i + 1]);
  prompt.back() = keys[0];
  return item_of(words, std::move(prompt), {{retention_lead + lag, wanted}});
}

Item overwrite_item(const RetentionWords& words, Random& random, std::int64_t lag) {
  Item item = lag_item(words, random, lag, 0);
  const std::int64_t latest = item.labels[0].token;
  const std::int64_t other =
      words.keys + (latest - words.keys + 1 + draw(random, words.values - 1)) % words.values;
  item.prompt[0] = item.prompt.back();
  item.prompt[1] = other;
  item.labels.push_back({item.labels[0].position, other});
  return item;
}

Item pairs_item(const RetentionWords& words, Random& random, std::int64_t pairs) {
  std::vector<std::int64_t> prompt(static_cast<std::size_t>(4 * pairs - 1));
  fill(words, random, prompt.data(), 4 * pairs - 1);
  const std::vector<std::int64_t> keys = random.sample(words.keys, pairs),
                                  order = random.sample(pairs, pairs);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    prompt[2 * i] = keys[i];
    prompt[2 * i + 1] = draw_value(words, random);
  }
  std::vector<Label> labels;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto asked = static_cast<std::size_t>(order[i]);
    const std::size_t position = 2 * (keys.size() + i);
    prompt[position] = keys[asked];
    labels.push_back({static_cast<std::int64_t>(position), prompt[2 * asked + 1]});
  }
  return item_of(words, std::move(prompt), std::move(labels));
}

}  // namespace mdnlab
