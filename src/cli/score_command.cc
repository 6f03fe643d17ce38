#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/model_words.h"
#include "cli/token_input.h"
#include "eval/log_probabilities.h"

namespace mdnlab {

namespace {

struct Scored {
  std::vector<std::int64_t> tokens;
  std::vector<double> log_probabilities;
  std::int64_t text_bytes = 0;  // that the predicted tokens stand for; 0: no text is known
};

std::vector<Scored> read_input(const Arguments& arguments, const StoredModel& model) {
  std::vector<Scored> sequences;
  if (arguments.has("tokens")) {
    for (auto& tokens : read_token_lists(arguments.text("tokens"), model.vocab_size)) {
      sequences.push_back({std::move(tokens)});
    }
    return sequences;
  }
  const auto tokenizer = read_tokenizer(arguments, model);
  Scored text{read_text_tokens(arguments.text("text"), *tokenizer)};
  for (std::size_t t = 1; t < text.tokens.size(); ++t) {
    text.text_bytes += tokenizer->token_bytes(static_cast<std::int32_t>(text.tokens[t]));
  }
  sequences.push_back(std::move(text));
  return sequences;
}

std::string json_text(const std::string& model, const std::vector<Scored>& sequences) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Scored& sequence : sequences) {
    list.push_back({{"tokens", sequence.tokens}, {"logprobs", sequence.log_probabilities}});
  }
  return nlohmann::ordered_json{{"model", model}, {"sequences", std::move(list)}}.dump() + "\n";
}

std::string table_text(const std::vector<Scored>& sequences) {
  Table table{{{"sequence", true}, {"tokens", true}, {"mean logprob", true}, {"perplexity", true}}, {}};
  const bool is_text = std::ranges::any_of(sequences, [](const Scored& one) { return one.text_bytes > 0; });
  if (is_text) table.columns.push_back({"bits/byte", true});
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const std::vector<double>& values = sequences[i].log_probabilities;
    const double sum = std::accumulate(values.begin(), values.end(), 0.0);
    const double mean = sum / static_cast<double>(values.size());
    const auto bytes = static_cast<double>(sequences[i].text_bytes);
    const auto cell = [&](double value) { return values.empty() ? "" : fixed(value, 6); };
    table.rows.push_back(
        {std::to_string(i), std::to_string(sequences[i].tokens.size()), cell(mean), cell(std::exp(-mean))});
    if (is_text) table.rows.back().push_back(cell(-sum / std::log(2.0) / bytes));
  }
  return table.text(TableFormat::plain);
}

int run(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab score MODEL (--tokens FILE.json | --text FILE) [options]",
       .about =
           "Prints the log-probability (natural) that the model gives to each next token; without --json, their "
           "mean by sequence. MODEL is a checkpoint, a model folder of another project, or run:KEYPREFIX.",
       .examples = "  mdnlab score run:3f2a --text experiments/data/tinyshakespeare.txt\n"
                   "  mdnlab score downloads/mdn-400M --tokens ids.json --json\n"
                   "  mdnlab score downloads/mdn-400M --tokens ids.json --device cuda --dtype bf16\n"
                   "  mdnlab score mdn-400M --text page.txt --tokenizer gpt2:experiments/data/gpt2\n"});
  arguments.option("tokens FILE", "a JSON list of lists of token ids");
  arguments.option("text FILE", "a UTF-8 text, one sequence");
  arguments.flag("json", "print JSON");
  add_model_words(arguments);
  if (!arguments.parse(words)) return 0;
  if (arguments.has("tokens") == arguments.has("text")) {
    throw Error(Code::usage, {.what = "score what? one of --tokens FILE.json and --text FILE",
                              .found = arguments.has("text") ? "both" : "neither"});
  }
  const ModelWords given = read_model_words(arguments);
  std::vector<Scored> sequences = read_input(arguments, given.stored);
  const LanguageModel model = given.build();
  for (Scored& sequence : sequences) sequence.log_probabilities = log_probabilities(model, sequence.tokens);
  print(arguments.has("json") ? json_text(arguments.text("MODEL"), sequences) : table_text(sequences));
  return 0;
}

}  // namespace

const Command score_command{"score", "log-probabilities that a model gives to tokens or a text", run};

}  // namespace mdnlab
