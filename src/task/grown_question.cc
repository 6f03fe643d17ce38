#include "task/grown_question.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "base/text.h"
#include "task/continuation.h"
#include "task/sequences.h"
#include "task/written.h"

namespace mdnlab {

namespace {

constexpr std::uint64_t purpose = 0x67726f776e;  // of the random streams

// The largest n in [least, most] that fits, where least < most, `least` fits and so do all below one that
// fits: steps that double from `guess` on, then halves.
template <class Fits>
std::int64_t largest(std::int64_t least, std::int64_t most, std::int64_t guess, Fits fits) {
  std::int64_t low = least, high = most + 1;  // low fits, high does not
  std::int64_t at = std::clamp(guess, least + 1, most);
  for (std::int64_t step = 1; low + 1 < high; step *= 2) {
    (fits(at) ? low : high) = at;
    if (high > most) {
      at = std::min(low + step, most);
    } else {
      at = low > least ? (low + high) / 2 : std::max(high - step, low + 1);
    }
  }
  return low;
}

struct Grown {
  Question question;
  std::vector<std::int64_t> tokens;  // of the prompt
};

class Grower {
 public:
  Grower(GrownQuestions questions, std::shared_ptr<const Tokenizer> tokenizer)
      : questions_(std::move(questions)), tokenizer_(std::move(tokenizer)) {}

  const GrownQuestions& questions() const { return questions_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

  // The longest prompt that leaves `reserved` of `wanted.length` tokens.
  Grown grow(const Random& random, Wanted wanted, std::int64_t reserved) const {
    const std::int64_t room = wanted.length - reserved, least = questions_.least_units;
    const auto at = [&](std::int64_t units) {
      wanted.units = units;
      Random numbers = random;
      Grown grown{questions_.write(numbers, wanted), {}};
      grown.tokens = tokens_of(*tokenizer_, grown.question.prompt);
      return grown;
    };
    const auto tokens = [&](std::int64_t units) {
      return static_cast<std::int64_t>(at(units).tokens.size());
    };
    const std::int64_t smallest = tokens(least);
    if (smallest > room) {
      throw Error(Code::usage, {.what = fmt::format("{} of {} tokens has no room for its prompt",
                                                    questions_.task, wanted.length),
                                .found = fmt::format("{} tokens of prompt, {} to write", smallest, reserved),
                                .expected = fmt::format("at least {}", smallest + reserved)});
    }
    const std::int64_t bound = questions_.most_units ? questions_.most_units(wanted.split) : least + room;
    const std::int64_t probe = std::max(least, std::min(bound, least + 64));
    const double each = std::max(0.5, static_cast<double>(tokens(probe) - smallest) /
                                          static_cast<double>(std::max<std::int64_t>(1, probe - least)));
    const auto guess = least + static_cast<std::int64_t>(static_cast<double>(room - smallest) / each);
    const std::int64_t units = bound <= least ? bound : largest(least, bound, guess, [&](std::int64_t units) {
      return tokens(units) <= room;
    });
    Grown grown = at(units);
    if (units == bound && questions_.most_units) {
      throw Error(Code::usage, {.what = fmt::format("the haystack is too short for {} tokens", wanted.length),
                                .found = fmt::format("{} words, a prompt of {} tokens", grouped(bound),
                                                     grouped(static_cast<std::int64_t>(grown.tokens.size()))),
                                .expected = "a longer text, since none is repeated"});
    }
    return grown;
  }

 private:
  GrownQuestions questions_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

class GrownItems final : public Items {
 public:
  GrownItems(std::shared_ptr<const Grower> grower, std::vector<std::int64_t> lengths,
             std::vector<std::optional<double>> depths, std::int64_t samples, std::int64_t generated,
             std::uint64_t seed)
      : grower_(std::move(grower)),
        lengths_(std::move(lengths)),
        depths_(std::move(depths)),
        samples_(samples),
        generated_(generated),
        seed_(seed) {}

  std::int64_t count() const override {
    return static_cast<std::int64_t>(lengths_.size() * depths_.size()) * samples_;
  }

  Item item(std::int64_t index) const override {
    const Wanted wanted = wanted_of(index);
    return {.prompt = grower_->grow(random_of(index, wanted), wanted, generated_).tokens,
            .most_tokens = generated_,
            .length = wanted.length,
            .depth = wanted.depth};
  }

  Mark mark(std::int64_t index, const Item&, const Answer& answer) const override {
    Wanted wanted = wanted_of(index);
    wanted.units = grower_->questions().least_units;  // the answers are the same
    Random random = random_of(index, wanted);
    const GrownQuestions& questions = grower_->questions();
    const Question question = questions.write(random, wanted);
    const std::string text = cleaned(answer.text);
    const double score =
        questions.score ? questions.score(question, text) : contained(question.answers, text);
    return {
        join(question.answers, ", "), text, {{.metric = "accuracy", .value = score, .cell = questions.cell}}};
  }

  const Tokenizer* tokenizer() const override { return &grower_->tokenizer(); }

 private:
  Wanted wanted_of(std::int64_t index) const {
    const auto cell = static_cast<std::size_t>(index / samples_);
    return {.length = lengths_[cell / depths_.size()], .depth = depths_[cell % depths_.size()]};
  }
  Random random_of(std::int64_t index, const Wanted& wanted) const {
    const double depth = wanted.depth.value_or(-1);
    return Random{seed_, purpose, static_cast<std::uint64_t>(wanted.length),
                  static_cast<std::uint64_t>(std::llround(depth * 1e6)),
                  static_cast<std::uint64_t>(index % samples_)};
  }

  std::shared_ptr<const Grower> grower_;
  std::vector<std::int64_t> lengths_;
  std::vector<std::optional<double>> depths_;
  std::int64_t samples_, generated_;
  std::uint64_t seed_;
};

// Prompt and reply of one training sequence; the reply is its labels.
void write_training(const Grower& grower, Random& random, std::int64_t length, std::int64_t* tokens,
                    std::int64_t* labels) {
  const Random numbers{random.next()};
  Random first = numbers;
  const Wanted wanted{.split = Split::train, .length = length};
  const Question question = grower.questions().write(
      first, {.split = Split::train, .length = length, .units = grower.questions().least_units});
  const std::vector<std::int64_t> reply = tokens_of(grower.tokenizer(), question.reply);
  const Grown grown = grower.grow(numbers, wanted, static_cast<std::int64_t>(reply.size()));
  std::ranges::copy(grown.tokens, tokens);
  std::ranges::copy(reply, tokens + grown.tokens.size());
  std::ranges::copy(reply, labels + grown.tokens.size() - 1);
}

// As long as a sequence may be.
void write_drill(const Grower& grower, Random& random, std::int64_t length, std::int64_t* tokens,
                 std::int64_t* labels) {
  std::int64_t end = 0;
  for (const Said& said : grower.questions().drill(random, length)) {
    const std::vector<std::int64_t> piece = tokens_of(grower.tokenizer(), said.text);
    std::ranges::copy(piece, tokens + end);
    if (said.is_reply) std::ranges::copy(piece, labels + end - 1);
    end += std::ssize(piece);
  }
}

}  // namespace

std::unique_ptr<Task> grown_task(const GrownQuestions& questions, const Params& options,
                                 const TaskContext& context) {
  const char* name = questions.task;
  const std::string digest = sha256(questions.data_digest + context.tokenizer->digest());
  const std::vector<std::int64_t> lengths = options.integers("lengths");
  if (lengths.empty()) throw options.error("lengths", "lengths is empty", "e.g. [4096]");
  const auto grower = std::make_shared<const Grower>(questions, context.tokenizer);
  const auto make_items = [=, depths = questions.depths, samples = options.integer("samples"),
                           generated = options.integer("generated"),
                           seed = static_cast<std::uint64_t>(options.integer("seed"))] {
    return std::make_unique<const GrownItems>(grower, lengths, depths, samples, generated, seed);
  };
  const auto items = make_items();
  for (std::int64_t first = 0; first < items->count(); first += options.integer("samples")) {
    try {
      (void)items->item(first);
    } catch (const Error& error) {
      ErrorText text = error.text();
      text.place = options.place("lengths");
      throw Error(Code::usage, std::move(text));
    }
  }
  std::vector<std::int64_t> trained{context.seq_len};
  if (options.is_set("train_lengths")) trained = options.integers("train_lengths");
  if (trained.empty()) throw options.error("train_lengths", "train_lengths is empty", "e.g. [512, 1024]");
  const std::int64_t longest = std::ranges::max(trained);
  const auto writing = [=](double drill_share) {
    return [=](Random& random, std::int64_t* tokens, std::int64_t* labels) {
      if (drill_share > 0 && random.uniform() < drill_share) {
        write_drill(*grower, random, longest, tokens, labels);
      } else {
        write_training(*grower, random, trained[random.below(trained.size())], tokens, labels);
      }
    };
  };
  return sequence_task({.task = name,
                        .purpose = purpose,
                        .seed = context.seed,
                        .vocab_size = context.tokenizer->vocab_size(),
                        .trained = {{.length = longest,
                                     .examples = options.integer("train_examples"),
                                     .write = writing(questions.drill_share),
                                     .write_valid = writing(0)}},
                        .test_examples = 100,  // of a validation while training
                        .items = make_items,
                        .data_digest = digest});
}

}  // namespace mdnlab
