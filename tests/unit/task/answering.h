// Models that a test stands in for: what they say is given to an evaluation without any model.
#pragma once

#include <ATen/ops/empty.h>

#include <cmath>
#include <functional>
#include <set>
#include <vector>

#include "base/random.h"
#include "eval/marks.h"
#include "task/task.h"

namespace mdnlab {

struct Guess {
  double nll = 0;
  bool correct = true;
};

inline std::vector<std::int64_t> labels_of(const Batch& batch) {
  std::vector<std::int64_t> labels;
  const at::Tensor all = batch.labels_BT.contiguous();
  for (std::int64_t i = 0; i < all.numel(); ++i) {
    if (const std::int64_t label = all.const_data_ptr<std::int64_t>()[i]; label != no_label)
      labels.push_back(label);
  }
  return labels;
}

// The scores of a model that gives answer(label) for each label of items.
inline std::vector<Score> scores_of(const Items& items,
                                    const std::function<Guess(std::int64_t label)>& answer) {
  std::vector<MarkedItem> marks;
  for (std::int64_t i = 0; i < items.count(); ++i) {
    const Item item = items.item(i);
    Answer given{.log_probabilities = {{}}, .highest = {{}}};
    for (const Label& label : item.labels) {
      const Guess guess = answer(label.token);
      given.log_probabilities[0].push_back(-guess.nll);
      given.highest[0].push_back(guess.correct);
    }
    marks.push_back(marked(i, item, items.mark(i, item, given)));
  }
  return scores_of("items", "{}", marks);
}

// The scores of a model that gives answer(label) at each labelled position.
inline std::vector<Score> scores_of(const Task& task, const std::function<Guess(std::int64_t label)>& answer,
                                    Split split = Split::test, std::int64_t most_tokens = 4096) {
  if (const auto items = task.items(split)) return scores_of(*items, answer);
  const auto evaluation = task.evaluation(split);
  while (const std::optional<Batch> batch = evaluation->next(most_tokens)) {
    const std::vector<std::int64_t> labels = labels_of(*batch);
    const auto count = static_cast<std::int64_t>(labels.size());
    const Predictions predictions{at::empty({count}, at::kDouble), at::empty({count}, at::kBool)};
    for (std::int64_t i = 0; i < count; ++i) {
      const Guess given = answer(labels[static_cast<std::size_t>(i)]);
      predictions.nll.data_ptr<double>()[i] = given.nll;
      predictions.correct.data_ptr<bool>()[i] = given.correct;
    }
    evaluation->add(*batch, predictions);
  }
  return evaluation->scores();
}

// The different labels of a test.
inline std::set<std::int64_t> answers_of(const Task& task) {
  std::set<std::int64_t> answers;
  scores_of(task, [&](std::int64_t label) {
    answers.insert(label);
    return Guess{};
  });
  return answers;
}

}  // namespace mdnlab
