// Sequences of writes and queries, in slots of two tokens: a write is `key value`, a query `key filler`, and
// any other slot is two fillers. What a query wants is the value written last to its key, at the key's
// position.
#pragma once

#include <cstdint>
#include <vector>

#include "base/random.h"
#include "task/item.h"

namespace mdnlab {

// Ids: keys, then values, then 64 fillers.
struct RetentionWords {
  std::int64_t keys = 0, values = 0;

  std::int64_t first_filler() const { return keys + values; }
  std::int64_t vocab_size() const { return first_filler() + 64; }
};

// A sequence to learn from, of `length` ≥ 4 tokens. The number of writes is log-uniform up to a quarter of
// the tokens (or the keys there are); they stand anywhere in a first part of random size; a quarter of them
// write an earlier key again. Each write is asked for once, log-uniformly later. Values are drawn with
// replacement.
void write_retention(const RetentionWords& words, Random& random, std::int64_t length, std::int64_t* tokens,
                     std::int64_t* labels);

// Tokens ahead of what is written in the sequences below.
inline constexpr std::int64_t retention_lead = 16;

// A query `lag` tokens (key to key, even) after its write, and `writes` ≤ lag/2 − 1 of other keys, all
// different, anywhere in between. One label.
Item lag_item(const RetentionWords& words, Random& random, std::int64_t lag, std::int64_t writes);

// The same without writes in between, where the key had another value before, `retention_lead` tokens
// earlier. Labels: the new value, the old value, at the same position.
Item overwrite_item(const RetentionWords& words, Random& random, std::int64_t lag);

// `pairs` writes of different keys, then a query of each, in random order, without a filler slot. A label
// each.
Item pairs_item(const RetentionWords& words, Random& random, std::int64_t pairs);

}  // namespace mdnlab
