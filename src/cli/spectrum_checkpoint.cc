#include "cli/spectrum_checkpoint.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>

#include "cli/token_input.h"
#include "run/planner.h"

namespace mdnlab {

using namespace stability;

namespace {

constexpr std::int64_t row_tokens = 512;
constexpr std::size_t most_of_a_head = 4096, most_points = 1500;

at::Tensor rows(const std::vector<std::int64_t>& tokens, std::int64_t width) {
  const std::int64_t count = std::ssize(tokens) / width;
  return at::tensor(at::ArrayRef(tokens).slice(0, static_cast<std::size_t>(count * width)), at::kLong)
      .view({count, width});
}

// Rows of one length, the rest left out.
std::vector<Batch> text_batches(const StoredModel& model, const CheckpointText& text) {
  std::vector<std::int64_t> tokens =
      read_text_tokens(*text.file, *tokenizer_for(model, text.tokenizer));
  tokens.resize(static_cast<std::size_t>(std::min(std::ssize(tokens), text.tokens)));
  if (tokens.empty()) throw Error(Code::usage, {.what = "no text", .found = *text.file});
  return {{.tokens_BT = rows(tokens, std::min(std::ssize(tokens), row_tokens))}};
}

// Each sequence as it is, up to the tokens wanted.
std::vector<Batch> id_batches(const StoredModel& model, const CheckpointText& text) {
  std::vector<Batch> batches;
  std::int64_t left = text.tokens;
  for (std::vector<std::int64_t>& tokens : read_token_lists(*text.ids, model.vocab_size)) {
    tokens.resize(static_cast<std::size_t>(std::min(std::ssize(tokens), left)));
    if (tokens.empty()) continue;
    left -= std::ssize(tokens);
    batches.push_back({.tokens_BT = rows(tokens, std::ssize(tokens))});
  }
  if (batches.empty()) throw Error(Code::usage, {.what = "no tokens", .found = *text.ids});
  return batches;
}

std::vector<Batch> validation_batches(const StoredModel& model, const CheckpointText& text,
                                      const Plugins& plugins) {
  constexpr const char* instead = "--text FILE or --ids FILE.json";
  if (!model.config.find("task")) {
    throw Error(Code::usage, {.what = "the model does not say what it was trained on",
                              .found = "no task in " + (model.folder / "config.json").string(),
                              .expected = instead});
  }
  const RunConfig config = read_config(model.config, plugins);
  TaskMaker tasks(model.folder);
  std::optional<Batch> batch = tasks.make(config.task, config)->evaluation(Split::valid)->next(text.tokens);
  if (!batch) throw Error(Code::usage, {.what = "the run has no validation data", .expected = instead});
  return {*std::move(batch)};
}

std::vector<Batch> batches_of(const StoredModel& model, const CheckpointText& text, const Plugins& plugins) {
  if (text.file && text.ids)
    throw Error(Code::usage, {.what = "read what? one of --text FILE and --ids FILE.json", .found = "both"});
  if (text.file) return text_batches(model, text);
  if (text.ids) return id_batches(model, text);
  return validation_batches(model, text, plugins);
}

std::vector<Gate> evenly(const std::vector<Gate>& gates, std::size_t most) {
  std::vector<Gate> chosen;
  const std::size_t count = std::min(most, gates.size());
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(gates[i * gates.size() / count]);
  return chosen;
}

}  // namespace

const Params& options_in(const StoredModel& model, const std::string& rule) {
  for (const RuleChoice& layer : model.spec.layers) {
    if (layer.name == rule) return layer.options;
  }
  throw Error(Code::usage, {.what = "no layer of the checkpoint has the rule " + rule,
                            .found = model.spec.rule_text(),
                            .hint = "the checkpoint is " + model.folder.string()});
}

CheckpointGates checkpoint_gates(const StoredModel& stored, const std::string& rule,
                                 const CheckpointText& text, const Plugins& plugins) {
  const at::NoGradGuard no_grad;
  const std::vector<Batch> batches = batches_of(stored, text, plugins);
  const LanguageModel model = build_model(stored, plugins, at::kFloat);
  CheckpointGates result{.model = stored.folder.string()};
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<Gate>> found;  // by layer and head
  for (const Batch& batch : batches) {
    result.tokens += batch.tokens_BT.numel();
    model.hidden(batch.tokens_BT, batch.documents, nullptr,
                 {.rule_input = [&](std::size_t layer, const Rule& own, const Weights& weights,
                                    const at::Tensor& normed_BTD) {
                   if (stored.spec.layers[layer].name != rule) return;
                   const std::optional<Coefficients> coefficients = own.coefficients(normed_BTD, weights);
                   if (!coefficients) return;
                   std::int64_t head = 0;
                   for (const std::vector<Gate>& gates : gates_by_head(*coefficients))
                     std::ranges::copy(gates, std::back_inserter(found[{layer, head++}]));
                 }});
  }
  if (found.empty())
    throw Error(Code::usage, {.what = "layers of " + rule + " do not tell their gates",
                              .expected = "a rule of coefficients"});
  std::vector<Gate> some;  // of every head, for the whole
  for (const auto& [place, gates] : found) {
    result.heads.push_back(report_head(place.first, place.second, gates));
    std::ranges::copy(evenly(gates, most_of_a_head), std::back_inserter(some));
  }
  result.all = report_head(0, 0, some);
  result.points = evenly(some, most_points);
  return result;
}

}  // namespace mdnlab
