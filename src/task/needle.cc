// Needles in a haystack, RULER's eight: values that belong to keys, each said in one sentence somewhere in a
// text of repeated noise, of prose, or of nothing but such sentences, and asked for at the end.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/text.h"
#include "task/grown_question.h"
#include "task/haystack.h"
#include "task/sequences.h"
#include "task/tasks.h"
#include "task/word_list.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "variant",
     .type = Type::text,
     .preset = "s-niah-1",
     .doc =
         "s-niah-1: a number in noise; -2: in prose; -3: a uuid in prose; mk-niah-1: four keys; -2, -3: needles "
         "only, of words and numbers, of uuids; mv-niah: four values; mq-niah: four keys asked",
     .choices = "s-niah-1|s-niah-2|s-niah-3|mk-niah-1|mk-niah-2|mk-niah-3|mv-niah|mq-niah"},
    context_lengths_field,
    {.name = "depths",
     .type = Type::reals,
     .preset = nullptr,
     .doc =
         "of the needle in the haystack, 0 (its beginning) to 1, a score each; when unset drawn, as in RULER: "
         "of 40 equal steps in prose, else any line",
     .least = 0,
     .most = 1},
    samples_field,
    question_seed_field,
    generated_field("128"),
    haystack_path_field,
    words_field,
    train_lengths_field,
    {.name = "train_drills",
     .type = Type::real,
     .preset = "0",
     .doc =
         "share of training sequences that are drills: needles and short questions for them, one after another",
     .least = 0,
     .most = 1},
    haystack_share_field,
    train_examples_field};

constexpr std::int64_t least_drill = 300;  // tokens in which the longest needle and its question fit

enum class Hay { noise, prose, needles };
enum class Thing { word, number, uuid };

struct Variant {
  const char* name;
  Hay hay;
  Thing key, value;
  std::int64_t keys, values, queries;
};

constexpr Variant variants[] = {{"s-niah-1", Hay::noise, Thing::word, Thing::number, 1, 1, 1},
                                {"s-niah-2", Hay::prose, Thing::word, Thing::number, 1, 1, 1},
                                {"s-niah-3", Hay::prose, Thing::word, Thing::uuid, 1, 1, 1},
                                {"mk-niah-1", Hay::prose, Thing::word, Thing::number, 4, 1, 1},
                                {"mk-niah-2", Hay::needles, Thing::word, Thing::number, 1, 1, 1},
                                {"mk-niah-3", Hay::needles, Thing::uuid, Thing::uuid, 1, 1, 1},
                                {"mv-niah", Hay::prose, Thing::word, Thing::number, 1, 4, 1},
                                {"mq-niah", Hay::prose, Thing::word, Thing::number, 4, 1, 4}};

std::string uuid(Random& random) {
  const std::uint64_t high = (random.next() & ~0xf000ull) | 0x4000ull;       // version 4
  const std::uint64_t low = (random.next() & ~(3ull << 62)) | (2ull << 62);  // its variant
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff,
                     low >> 48, low & 0xffffffffffffull);
}

class Needles {
 public:
  Needles(const Variant& variant, const Params& options, const std::filesystem::path& base)
      : variant_(variant) {
    if (variant.hay == Hay::prose) haystack_ = std::make_shared<const Haystack>(options, base);
    if (variant.key == Thing::word) {
      adjectives_ = read_word_list(options, base, "adjectivelist.txt");
      nouns_ = read_word_list(options, base, "nounlist.txt");
    }
  }

  std::string digest() const {
    return (haystack_ ? haystack_->digest() : "") + adjectives_.digest + nouns_.digest;
  }
  std::int64_t words(Split split) const { return haystack_->words(split); }

  Question question(Random& random, const Wanted& wanted) const {
    std::vector<std::string> keys, values, needles;
    while (static_cast<std::int64_t>(keys.size()) < variant_.keys) {
      const std::string key = thing(variant_.key, random);
      if (std::ranges::find(keys, key) != keys.end()) continue;
      keys.push_back(key);
      for (std::int64_t i = 0; i < variant_.values; ++i) {
        values.push_back(thing(variant_.value, random));
        needles.push_back(needle(key, values.back()));
      }
    }
    std::vector<std::string> queries, answers;
    for (const std::int64_t asked : random.sample(variant_.keys, variant_.queries)) {
      queries.push_back(keys[static_cast<std::size_t>(asked)]);
      const auto first = values.begin() + asked * variant_.values;
      answers.insert(answers.end(), first, first + variant_.values);
    }
    // With a depth there is one query of one value: its needle first, then the others wherever they fall.
    const auto wanted_needle = std::ranges::find(needles, needle(queries[0], answers[0])) - needles.begin();
    std::swap(needles[0], needles[static_cast<std::size_t>(wanted_needle)]);
    return {prompt(queries, context(needles, random, wanted)), answers, " " + join(answers, ", ") + "."};
  }

  // Needles, each perhaps asked for at once, later, again, or never; their values have any length. A third
  // are bare, `ob:27979` and `ob:` to be answered, a third have the words next to the key, a third have all:
  // copying is found where key, value and question are close, and then stretched.
  std::vector<Said> drill(Random& random, std::int64_t length) const {
    const auto cut = [&](const std::string& text, std::uint64_t most) {
      return text.substr(0, 1 + random.below(std::min<std::uint64_t>(most, text.size())));
    };
    const std::uint64_t level = random.below(3);
    const auto told = [&](const std::string& key, const std::string& value) {
      return level == 0 ? key + ":" + value + "\n"
                        : (level == 1 ? "for " + key + " is: " + value + "." : needle(key, value)) + "\n";
    };
    const auto asked = [&](const std::string& key) {
      return level == 0 ? key + ":" : level == 1 ? "for " + key + " is" : short_question(key);
    };
    const auto answered = [&](const std::string& value) {
      return level == 0 ? value + "\n" : " " + value + ".\n";
    };
    std::vector<Said> said;
    std::vector<std::pair<std::string, std::string>> hidden;  // key, value
    auto room = static_cast<std::size_t>(length);
    while (true) {
      const bool hides = said.empty() || (said.size() > 1 && random.uniform() < 0.4);
      if (hides) {
        const std::string key = cut(thing(variant_.key, random), level == 0 ? 2 : level == 1 ? 4 : 99);
        std::erase_if(hidden, [&](const auto& one) { return one.first == key; });
        hidden.emplace_back(key, cut(thing(variant_.value, random), 99));
      }
      // The last ones most often: log-uniform.
      const double back = std::exp(random.uniform() * std::log(static_cast<double>(hidden.size())));
      const auto& [key, value] =
          hides ? hidden.back() : hidden[hidden.size() - static_cast<std::size_t>(back)];
      const std::string text = hides ? told(key, value) : asked(key), reply = hides ? "" : answered(value);
      if (text.size() + reply.size() > room) return said;
      room -= text.size() + reply.size();
      said.push_back({text, false});
      if (!hides) said.push_back({reply, true});
    }
  }

 private:
  std::string thing(Thing what, Random& random) const {
    switch (what) {
      case Thing::number: return std::to_string(1'000'000 + random.below(9'000'000));
      case Thing::uuid: return uuid(random);
      case Thing::word: break;
    }
    const std::string& adjective = adjectives_.words[random.below(adjectives_.words.size())];
    return adjective + "-" + nouns_.words[random.below(nouns_.words.size())];
  }

  std::string kind() const { return variant_.value == Thing::uuid ? "uuids" : "numbers"; }

  std::string needle(const std::string& key, const std::string& value) const {
    return fmt::format("One of the special magic {} for {} is: {}.", kind(), key, value);
  }

  std::string context(const std::vector<std::string>& needles, Random& random, const Wanted& wanted) const {
    Random order{random.next()}, start{random.next()}, hay{random.next()};
    std::vector<std::string> lines;
    if (variant_.hay == Hay::prose) {
      lines = haystack_->sentences(wanted.split, start, wanted.units, wanted.length);
    } else {
      for (std::int64_t i = 0; i < wanted.units; ++i)
        lines.push_back(variant_.hay == Hay::noise
                            ? std::string(noise_line)
                            : needle(thing(variant_.key, hay), thing(variant_.value, hay)));
    }
    const auto count = static_cast<double>(lines.size());
    std::vector<double> depths;  // of the needles
    if (variant_.hay == Hay::prose) {
      for (const std::int64_t step : order.sample(40, static_cast<std::int64_t>(needles.size())))
        depths.push_back(static_cast<double>(std::lround(static_cast<double>(step) * 100 / 39)) / 100);
    } else {
      for (std::size_t i = 0; i < needles.size(); ++i) depths.push_back(order.uniform());
    }
    if (wanted.depth) depths[0] = *wanted.depth;
    std::vector<std::size_t> by_depth(needles.size());
    std::iota(by_depth.begin(), by_depth.end(), std::size_t{0});
    std::ranges::stable_sort(by_depth, {}, [&](std::size_t i) { return depths[i]; });
    std::vector<std::string> hidden;
    std::vector<std::int64_t> places;
    for (const std::size_t i : by_depth) {
      hidden.push_back(needles[i]);
      places.push_back(static_cast<std::int64_t>(count * depths[i]));
    }
    return join(inserted(lines, hidden, places), variant_.hay == Hay::prose ? " " : "\n");
  }

  // As a prompt ends.
  std::string short_question(const std::string& key) const {
    return fmt::format("The special magic {} for {} mentioned in the provided text is",
                       kind().substr(0, kind().size() - 1), key);
  }

  std::string prompt(const std::vector<std::string>& queries, const std::string& context) const {
    const bool is_single = variant_.queries * variant_.values == 1;
    const std::string type = is_single ? kind().substr(0, kind().size() - 1) : kind();
    const std::string are = is_single ? "is" : "are", are_all = is_single ? "is" : "are all";
    std::string query = queries[0];
    for (std::size_t i = 1; i < queries.size(); ++i)
      query += (i + 1 < queries.size() ? ", " : ", and ") + queries[i];
    return fmt::format(
        "Some special magic {0} {1} hidden within the following text. Make sure to memorize it. I will quiz you "
        "about the {0} afterwards.\n{3}\nWhat {2} the special magic {0} for {4} mentioned in the provided text? "
        "The special magic {0} for {4} mentioned in the provided text {1}",
        type, are, are_all, context, query);
  }

  Variant variant_;
  std::shared_ptr<const Haystack> haystack_;
  WordList adjectives_, nouns_;
};

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const Variant& variant = *std::ranges::find(variants, options.text("variant"), &Variant::name);
  const auto needles = std::make_shared<const Needles>(variant, options, context.base);
  GrownQuestions questions{
      .task = "needle",
      .cell = fmt::format(R"({{"variant":"{}"}})", variant.name),
      .write = [needles](Random& random, const Wanted& wanted) { return needles->question(random, wanted); },
      .data_digest = needles->digest(),
      .drill = [needles](Random& random, std::int64_t length) { return needles->drill(random, length); },
      .drill_share = options.real("train_drills")};
  if (variant.hay == Hay::prose)
    questions.most_units = [needles](Split split) { return needles->words(split); };
  if (options.is_set("depths")) {
    if (variant.values * variant.queries > 1)
      throw options.error("depths",
                          fmt::format("{} wants several needles, which have no one depth", variant.name),
                          "no depths");
    questions.depths.clear();
    for (const double depth : options.reals("depths")) questions.depths.emplace_back(depth);
    if (questions.depths.empty()) throw options.error("depths", "depths is empty", "e.g. [0, 0.5, 1]");
  }
  const std::int64_t longest = options.is_set("train_lengths") && !options.integers("train_lengths").empty()
                                   ? std::ranges::max(options.integers("train_lengths"))
                                   : context.seq_len;
  if (questions.drill_share > 0 && longest < least_drill)
    throw options.error("train_drills", fmt::format("a drill does not fit in {} tokens", longest),
                        fmt::format("training lengths of at least {}", least_drill));
  return grown_task(questions, options, context);
}

}  // namespace

const TaskKind needle_task{"needle", 1,      "needles in a haystack: values by their keys, asked at the end",
                           false,    fields, make};

}  // namespace mdnlab
