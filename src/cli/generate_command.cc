#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/generate_bench.h"
#include "cli/model_words.h"
#include "data/text_stream.h"
#include "model/decode.h"
#include "model/sampling.h"

namespace mdnlab {

namespace {

std::string read_prompt(const Arguments& arguments) {
  if (arguments.has("prompt") == arguments.has("prompt-file")) {
    throw Error(Code::usage, {.what = "go on from what? one of --prompt TEXT and --prompt-file FILE",
                              .found = arguments.has("prompt") ? "both" : "neither"});
  }
  const bool is_file = arguments.has("prompt-file");
  std::string prompt = is_file ? read_file(arguments.text("prompt-file")) : arguments.text("prompt");
  if (const std::size_t at = invalid_utf8(prompt); at != std::string::npos) {
    throw Error(Code::usage, {.place = {is_file ? arguments.text("prompt-file") : "--prompt"},
                              .what = "the prompt is not UTF-8",
                              .found = "byte " + std::to_string(at)});
  }
  return prompt;
}

// An empty prompt begins where texts begin: after the token that ends one.
std::vector<std::int64_t> prompt_tokens(const std::string& prompt, const Tokenizer& tokenizer) {
  const std::vector<std::int32_t> ids = tokenizer.encode(prompt);
  if (!ids.empty()) return {ids.begin(), ids.end()};
  if (!tokenizer.end_of_text()) throw Error(Code::usage, {.what = "the prompt is empty"});
  return {*tokenizer.end_of_text()};
}

struct Order {
  std::int64_t most_tokens;
  Sampling sampling;
  std::uint64_t seed;
  bool streams;  // prints each piece as it comes
};

struct Generated {
  std::vector<std::int64_t> tokens;
  std::string text;
  bool ended = false;  // by the model
};

Generated generate(const LanguageModel& model, const Tokenizer& tokenizer,
                   const std::vector<std::int64_t>& prompt, const Order& order) {
  Generated generated;
  if (order.most_tokens == 0) return generated;
  Random random{order.seed};
  TextStream stream(tokenizer, prompt.back());
  const auto give = [&](const std::string& piece) {
    generated.text += piece;
    if (order.streams) print(piece);
  };
  decode(model, {prompt}, [&](const at::Tensor& logits, std::span<const std::size_t>) {
    // A vocabulary may be padded: ids past the tokenizer's are no text.
    const std::int64_t token =
        sample_token(logits[0].narrow(0, 0, tokenizer.vocab_size()), order.sampling, random);
    generated.ended = tokenizer.end_of_text() == token;
    if (generated.ended) return std::vector{end_of_sequence};
    generated.tokens.push_back(token);
    give(stream.add(token));
    const bool is_full = std::ssize(generated.tokens) == order.most_tokens;
    return std::vector{is_full ? end_of_sequence : token};
  });
  give(stream.end());
  return generated;
}

int bench(const Arguments& arguments) {
  for (const char* word : {"prompt", "prompt-file"}) {
    if (arguments.has(word))
      throw Error(Code::usage, {.what = "--bench reads random tokens", .found = "--" + std::string(word)});
  }
  const GenerateBench order{
      .model = arguments.text("MODEL"),
      .sequences = arguments.has("sequences") ? arguments.integer("sequences", 1) : 1,
      .prompt_tokens = arguments.has("prompt-tokens") ? arguments.integer("prompt-tokens", 1) : 16384,
      .step_tokens = arguments.integer("max-tokens", 1),
      .json = arguments.has("json")};
  generate_bench(read_model_words(arguments).build(), order);
  return 0;
}

int run(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab generate MODEL (--prompt TEXT | --prompt-file FILE | --bench)",
       .about =
           "Goes on from a prompt and prints what the model writes, token by token, until it ends its text "
           "or has written --max-tokens. Without --temperature it takes the likeliest token each time. "
           "MODEL is a checkpoint, a model folder of another project, or run:KEYPREFIX.",
       .examples = "  mdnlab generate run:3f2a --prompt 'To be, or not'\n"
                   "  mdnlab generate run:3f2a --prompt-file scene.txt \\\n"
                   "      --temperature 0.8 --top-p 0.95 --seed 7\n"
                   "  mdnlab generate mdn-400M --prompt Once \\\n"
                   "      --tokenizer gpt2:experiments/data/gpt2 --json\n"
                   "  mdnlab generate mdn-400M --bench --sequences 64 --dtype bf16\n"});
  arguments.option("prompt TEXT", "to go on from");
  arguments.option("prompt-file FILE", "the same, the whole of a UTF-8 file");
  arguments.option("max-tokens N", "to write at most", "256");
  arguments.option("temperature X", "logits are divided by it; 0: always the likeliest token", "0");
  arguments.option("top-p P", "draw from the likeliest tokens that together have this probability", "1");
  arguments.option("seed N", "of what is drawn", "0");
  arguments.flag("json", "print JSON when all is written");
  arguments.flag("bench", "instead: how fast, on random tokens");
  arguments.option("sequences N", "side by side, of --bench; 1 when not given");
  arguments.option("prompt-tokens N", "to read, of --bench; 16384 when not given");
  add_model_words(arguments);
  if (!arguments.parse(words)) return 0;
  if (arguments.has("bench")) return bench(arguments);
  for (const char* word : {"sequences", "prompt-tokens"}) {
    if (arguments.has(word))
      throw Error(Code::usage, {.what = "a word of --bench", .found = "--" + std::string(word)});
  }
  const Order order{.most_tokens = arguments.integer("max-tokens", 0),
                    .sampling = {.temperature = arguments.real("temperature", 0, 1000),
                                 .top_p = arguments.real("top-p", 1e-9, 1)},
                    .seed = static_cast<std::uint64_t>(arguments.integer("seed", 0)),
                    .streams = !arguments.has("json")};
  const std::string text = read_prompt(arguments);
  const ModelWords given = read_model_words(arguments);
  const auto tokenizer = read_tokenizer(arguments, given.stored);
  const std::vector<std::int64_t> prompt = prompt_tokens(text, *tokenizer);
  const LanguageModel model = given.build();
  const Generated generated = generate(model, *tokenizer, prompt, order);
  if (order.streams) {
    print("\n");
    return 0;
  }
  print(nlohmann::ordered_json{{"model", arguments.text("MODEL")},
                               {"prompt_tokens", prompt},
                               {"tokens", generated.tokens},
                               {"text", generated.text},
                               {"ended", generated.ended}}
            .dump() +
        "\n");
  return 0;
}

}  // namespace

const Command generate_command{"generate", "what a model writes after a prompt", run};

}  // namespace mdnlab
