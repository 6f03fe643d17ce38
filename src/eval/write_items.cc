#include "eval/write_items.h"

#include <algorithm>

#include "data/text_stream.h"
#include "model/decode.h"
#include "model/sampling.h"

namespace mdnlab {

namespace {

struct Writing {
  const Item& item;
  TextStream stream;
  Answer answer;

  // The text so far holds one of `until`: it ends before.
  bool ends() {
    std::size_t end = std::string::npos;
    for (const std::string& mark : item.until) end = std::min(end, answer.text.find(mark));
    if (end == std::string::npos) return false;
    answer.text.resize(end);
    return true;
  }
};

}  // namespace

std::vector<Answer> write_items(const LanguageModel& model, std::span<const Item> items,
                                const Tokenizer& tokenizer, std::int64_t batch_tokens) {
  std::vector<Writing> writings;
  std::vector<std::vector<std::int64_t>> prompts;
  for (const Item& item : items) {
    writings.push_back({item, TextStream(tokenizer, item.prompt.back()), {}});
    prompts.push_back(item.prompt);
  }
  const auto next = [&](Writing& writing, std::int64_t token) {
    if (tokenizer.end_of_text() == token) return end_of_sequence;
    writing.answer.tokens.push_back(token);
    writing.answer.text += writing.stream.add(token);
    const bool is_full = std::ssize(writing.answer.tokens) == writing.item.most_tokens;
    if (is_full) writing.answer.text += writing.stream.end();
    return writing.ends() || is_full ? end_of_sequence : token;
  };
  const std::int64_t segment =
      std::max<std::int64_t>(1, batch_tokens / std::max<std::int64_t>(1, std::ssize(items)));
  decode(
      model, prompts,
      [&](const at::Tensor& logits, std::span<const std::size_t> sequences) {
        // A vocabulary may be padded: ids past the tokenizer's are no text.
        std::vector<std::int64_t> tokens = highest_tokens(logits.narrow(1, 0, tokenizer.vocab_size()));
        for (std::size_t i = 0; i < sequences.size(); ++i)
          tokens[i] = next(writings[sequences[i]], tokens[i]);
        return tokens;
      },
      segment);
  std::vector<Answer> answers;
  for (Writing& writing : writings) answers.push_back(std::move(writing.answer));
  return answers;
}

}  // namespace mdnlab
