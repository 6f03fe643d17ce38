#include "cli/rules_spectrum.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "check/stability/drawn_gates.h"
#include "check/stability/map_svg.h"
#include "check/stability/spectrum.h"
#include "cli/arguments.h"
#include "cli/spectrum_checkpoint.h"
#include "cli/spectrum_words.h"
#include "run/open_model.h"

namespace mdnlab {

namespace {

using namespace stability;

double real(const Arguments& arguments, const char* name) {
  double value = 0;
  if (!parse_real(arguments.text(name), value) || value <= 0 || value > 1) {
    throw Error(Code::usage, {.what = std::string("--") + name + " is no decay",
                              .found = quote(arguments.text(name)),
                              .expected = "a number above 0, up to 1"});
  }
  return value;
}

std::int64_t count(const Arguments& arguments, const char* name, std::int64_t least, std::int64_t most) {
  const std::int64_t value = arguments.integer(name, least);
  if (value <= most) return value;
  throw Error(Code::usage, {.what = std::string("--") + name + " is too much",
                            .found = std::to_string(value),
                            .expected = "at most " + std::to_string(most)});
}

GateSet gates_of(const Plugin& plugin, const Params& options, std::uint64_t seed) {
  if (std::optional<GateSet> described = described_gates(plugin.info(), options))
    return *std::move(described);
  if (std::optional<GateSet> drawn = drawn_gates(plugin, options, seed)) return *std::move(drawn);
  throw Error(Code::usage,
              {.what = std::string(plugin.info().name) + " is no linear recurrence: it has no spectrum"});
}

// What only a model's gates need.
void refuse_without_checkpoint(const Arguments& arguments) {
  for (const char* name : {"text", "ids", "tokenizer"}) {
    if (arguments.has(name))
      throw Error(Code::usage, {.what = std::string("--") + name + " is read by a model",
                                .expected = "--checkpoint MODEL beside it"});
  }
}

// GATE=VALUE words of --fix.
void fix_gates(const std::vector<std::string>& words, GateSet& set) {
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    double value = 0;
    if (equals == std::string::npos || !parse_real(std::string_view(word).substr(equals + 1), value))
      throw Error(Code::usage, {.what = "--fix wants GATE=NUMBER", .found = quote(word)});
    set.fix(std::string_view(word).substr(0, equals), value);
  }
}

}  // namespace

int rules_spectrum(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab rules spectrum RULE [options]",
       .about =
           "How stable a rule is within its gates, in four parts: the eigenvalues of one token along its "
           "key; constant gates under a key that turns; the worst growth that a search over gates and keys "
           "finds; and, where there is one, the certificate that nothing grows (exit 1 when it is broken). "
           "With --checkpoint also what the gates of a trained model do, head by head.",
       .examples = "  mdnlab rules spectrum mdn --svg mdn.svg\n"
                   "  mdnlab rules spectrum mdn --set gate_constraint=escrow\n"
                   "  mdnlab rules spectrum mdn --fix log_factor=-1 --fix eta=1.75 \\\n"
                   "    --trajectory growth.csv\n"
                   "  mdnlab rules spectrum mdn --checkpoint run:3f2a --svg trained.svg\n"
                   "  mdnlab rules spectrum mdn --checkpoint downloads/mdn-400M --ids ids.json\n"});
  arguments.positional("RULE", "a rule of `mdnlab rules list`");
  arguments.list("set KEY=VALUE", "an option of the rule");
  arguments.option("checkpoint MODEL", "a checkpoint, a model folder, or run:KEYPREFIX: its gates on text");
  arguments.option("text FILE", "that it reads; else the run's own validation data");
  arguments.option("ids FILE", "that it reads instead, JSON: a list of lists of token ids");
  arguments.option("tokenizer NAME", "of --text: byte, gpt2:FOLDER or sentencepiece:FILE; else the run's");
  arguments.option("sample N", "tokens that it reads", "4096");
  arguments.list("fix GATE=VALUE", "hold one of its free gates");
  arguments.option("alpha X", "decay of the map, where it is no axis");
  arguments.option("grid N", "gates along a side of the map", "160");
  arguments.option("period N", "longest period of the search, tokens", "4");
  arguments.option("tokens N", "length of the trajectory", "600");
  arguments.option("seed N", "of the searches", "0");
  arguments.option("svg FILE", "draw the map");
  arguments.option("trajectory FILE", "the worst growth, token by token, as .csv or .json");
  arguments.add_database();
  arguments.add_plugins();
  arguments.flag("json", "print JSON");
  if (!arguments.parse(words)) return 0;

  const Plugins plugins = arguments.plugins();
  const Plugin& plugin = plugins.find(arguments.text("RULE"));
  std::optional<StoredModel> model;
  std::optional<CheckpointGates> trained;
  Params options = read_settings(arguments.texts("set"), "rule", plugin.options());
  if (arguments.has("checkpoint")) {
    if (arguments.has("set")) {
      throw Error(Code::usage,
                  {.what = "--set and --checkpoint do not go together: the checkpoint has its options"});
    }
    model = open_model(arguments.text("checkpoint"), arguments.database(), plugins);
    options = options_in(*model, plugin.info().name);
  } else {
    refuse_without_checkpoint(arguments);
  }
  plugin.create(options,
                {.hidden_size = 64, .num_heads = 1, .head_dim = 64});  // refuses what it does not allow
  const auto seed = static_cast<std::uint64_t>(arguments.integer("seed", 0));
  GateSet set = gates_of(plugin, options, seed);
  fix_gates(arguments.texts("fix"), set);
  SpectrumOptions how{.cells = count(arguments, "grid", 2, 1000),
                      .most_period = static_cast<int>(count(arguments, "period", 1, 16)),
                      .tokens = count(arguments, "tokens", 1, 1'000'000),
                      .seed = seed};
  if (arguments.has("alpha")) how.alpha = real(arguments, "alpha");

  if (model) {
    const auto given = [&](const char* name) {
      return arguments.has(name) ? std::optional(arguments.text(name)) : std::nullopt;
    };
    const CheckpointText text{.file = given("text"),
                              .ids = given("ids"),
                              .tokenizer = given("tokenizer"),
                              .tokens = count(arguments, "sample", 1, 1 << 20)};
    trained = checkpoint_gates(*model, plugin.info().name, text, plugins);
    if (!how.alpha) how.alpha = trained->all.of("alpha").quantiles[2];  // the map where the tokens are
  }
  const Spectrum result = spectrum(std::move(set), how);
  if (arguments.has("svg")) {
    write_file(arguments.text("svg"),
               map_svg(result.set, result.map, trained ? trained->points : std::vector<Gate>()));
  }
  if (arguments.has("trajectory")) {
    const std::filesystem::path file = arguments.text("trajectory");
    write_file(file, trajectory_table(result).text(file.extension() == ".json" ? TableFormat::json
                                                                               : TableFormat::csv));
  }
  if (arguments.has("json")) {
    nlohmann::ordered_json json = spectrum_json(result);
    if (trained) json["checkpoint"] = checkpoint_json(*trained);
    print(json.dump(2) + "\n");
  } else {
    print(spectrum_text(result) + (trained ? checkpoint_text(*trained) : ""));
  }
  return static_cast<int>(result.holds() ? Code::ok : Code::failed);
}

}  // namespace mdnlab
