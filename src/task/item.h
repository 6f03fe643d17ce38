// Questions that a task asks one by one: log-probabilities of labels or of continuations, or text that the
// model writes itself. The task makes each item and marks its answer; eval/ask.h puts them to a model, many
// at a time, and an interrupted asking goes on where it was. A task gives them by Task::items (task.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/tokenizer.h"

namespace mdnlab {

struct Label {
  std::int64_t position;  // in the prompt; ascending, several may ask at one
  std::int64_t token;
};

// Wants one of four: labels, continuations, text, or influence.
struct Item {
  std::vector<std::int64_t> prompt;  // never empty

  std::vector<Label> labels;  // ln p(token | prompt up to and including position)

  // ln p of every token of each of these, none empty, after the prompt.
  std::vector<std::vector<std::int64_t>> continuations;

  // Of labels and continuations: the only ids that there are, [first, second); probabilities are renormalised
  // over them. A label outside has ln p −∞.
  std::optional<std::pair<std::int64_t, std::int64_t>> among;

  // Text: what the model writes after the prompt, greedily, at most so many tokens, until it holds one of
  // `until` or the model ends it.
  std::int64_t most_tokens = 0;
  std::vector<std::string> until;

  // How much outputs hold of the values of earlier tokens: |c(t,i)| (eval/influence.h) at these lags t − i.
  std::vector<std::int64_t> influence_lags;

  // Scores are told apart by these, where they are set.
  std::optional<std::int64_t> length;  // tokens of context that the setting asks for
  std::optional<double> depth;         // of the wanted: 0 oldest, 1 newest
};

// The median over the prompt's tokens t ≥ lag.
struct Influence {
  std::int64_t lag;
  std::int64_t layer, head;  // from 0; −1: of all together
  double median;             // of |c(t, t − lag)|
};

struct Answer {
  std::vector<std::vector<double>> log_probabilities;  // of the labels, as one list; or of each continuation
  std::vector<std::vector<bool>> highest;              // likewise: the token had the highest logit
  std::vector<std::int64_t> tokens;                    // written, without the one that ended the text
  std::string text;                                    // the same, cut before the first of `until`
  std::vector<Influence> influence;                    // of each lag below the prompt's length
};

// How the values of many items become one score.
enum class Mean {
  plain,       // Σ weight·value / Σ weight
  exponential  // exp of that: a perplexity of values in nats
};

// One item's part in one score (metric/README.md has the words). Values of equal metric, length, depth and
// cell make up a score together. Items are kept with scores that are plain means of weight 1.
struct ItemValue {
  std::string metric;  // accuracy, acc_norm, perplexity, …
  double value = 0;    // accuracies are fractions: an oracle has 1
  double weight = 1;   // above 0
  Mean mean = Mean::plain;
  std::string cell = "{}";  // a JSON object: what else tells this score from others, {"lag":64,"writes":8}
  std::optional<std::string> prediction;  // of this score, where it is not the mark's
};

// What is stored of an answered item, for people and for paired statistics.
struct Mark {
  std::string answer;      // that was right
  std::string prediction;  // that the model gave
  std::vector<ItemValue> values;
  std::vector<double> log_probabilities;  // ln p of each choice, or of the text asked for; empty: not kept
};

// All questions of one setting, in a fixed order: item i is the same for every model, so its random numbers
// come from the setting's own seed and i alone. An item is made when it is asked for, and again to be marked.
class Items {
 public:
  virtual ~Items() = default;
  virtual std::int64_t count() const = 0;
  virtual Item item(std::int64_t index) const = 0;
  virtual Mark mark(std::int64_t index, const Item& item, const Answer& answer) const = 0;
  // Of written text; null only where no item wants any.
  virtual const Tokenizer* tokenizer() const { return nullptr; }
};

}  // namespace mdnlab
