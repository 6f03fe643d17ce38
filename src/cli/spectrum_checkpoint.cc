#include "cli/spectrum_checkpoint.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "data/tokenizer.h"
#include "model/language_model.h"
#include "run/execute.h"
#include "run/planner.h"
#include "store/runs.h"
#include "train/checkpoint.h"

namespace mdnlab {

using namespace stability;

namespace {

constexpr std::int64_t row_tokens = 512;
constexpr std::size_t most_points = 1500;

Batch text_batch(const RunConfig& config, const CheckpointText& text, const std::filesystem::path& base) {
  if (!config.data) {
    throw Error(Code::usage, {.what = "the run was not trained on text, so --text has no tokenizer",
                              .hint = "without --text its own validation data is read"});
  }
  const auto tokenizer =
      make_tokenizer(config.data->text("tokenizer"), base, config.data->place("tokenizer"));
  const std::vector<std::int32_t> ids = tokenizer->encode(read_file(*text.file));
  const std::int64_t count = std::min(std::ssize(ids), text.tokens), width = std::min(count, row_tokens);
  if (count == 0) throw Error(Code::usage, {.what = "no text", .found = *text.file});
  std::vector<std::int64_t> tokens(ids.begin(), ids.begin() + count / width * width);
  return {.tokens_BT = at::tensor(tokens, at::kLong).view({count / width, width})};
}

Batch validation_batch(const Task& task, const CheckpointText& text) {
  std::optional<Batch> batch = task.evaluation(Split::valid)->next(text.tokens);
  if (!batch) throw Error(Code::usage, {.what = "the run has no validation data", .expected = "--text FILE"});
  return *std::move(batch);
}

LanguageModel build(const TrainedModel& trained, const Plugins& plugins, std::int64_t vocab_size) {
  LanguageModel model(trained.spec, plugins, vocab_size, at::kFloat, 0);
  for (const Parameter& parameter : model.parameters()) {
    const auto found = trained.weights.find(parameter.name);
    if (found == trained.weights.end() || found->second.sizes() != parameter.tensor.sizes()) {
      throw Error(Code::failed, {.place = {.file = trained.folder.string()},
                                 .what = "the checkpoint does not fit its configuration",
                                 .found = "no tensor or another shape of " + parameter.name});
    }
    at::Tensor(parameter.tensor).copy_(found->second);
  }
  return model;
}

std::vector<Gate> evenly(const std::vector<Gate>& gates, std::size_t most) {
  std::vector<Gate> chosen;
  const std::size_t count = std::min(most, gates.size());
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(gates[i * gates.size() / count]);
  return chosen;
}

}  // namespace

TrainedModel open_trained(const std::string& word, const std::filesystem::path& database,
                          const Plugins& plugins) {
  constexpr std::string_view run_prefix = "run:";
  LatestCheckpoint newest;
  if (word.starts_with(run_prefix)) {
    Store store = Store::open_reading(database);
    newest = load_latest_checkpoint(run_folder(
        database, find_run_by_prefix(store, std::string_view(word).substr(run_prefix.size())).plan.key));
    if (!newest.checkpoint) {
      throw Error(Code::failed,
                  {.what = "no checkpoint that verifies",
                   .found = newest.refused.empty() ? "none of " + word : newest.refused.front()});
    }
  } else {
    if (!std::filesystem::is_directory(word)) {
      throw Error(Code::usage, {.what = "no such model",
                                .found = quote(word),
                                .expected = "a checkpoint folder, or run:KEYPREFIX"});
    }
    newest = {.checkpoint = load_checkpoint(word), .folder = word};
  }
  TrainedModel model{.folder = newest.folder, .weights = std::move(newest.checkpoint->model)};
  model.config = parse_yaml(newest.checkpoint->config_json, (newest.folder / "config.json").string());
  model.spec = read_model(model.config, plugins);
  return model;
}

const Params& options_in(const TrainedModel& model, const std::string& rule) {
  for (const RuleChoice& layer : model.spec.layers) {
    if (layer.name == rule) return layer.options;
  }
  throw Error(Code::usage, {.what = "no layer of the checkpoint has the rule " + rule,
                            .found = model.spec.rule_text(),
                            .hint = "the checkpoint is " + model.folder.string()});
}

CheckpointGates checkpoint_gates(const TrainedModel& stored, const std::string& rule,
                                 const CheckpointText& text, const Plugins& plugins) {
  const at::NoGradGuard no_grad;
  const RunConfig config = read_config(stored.config, plugins);
  TaskMaker tasks(stored.folder);
  const std::unique_ptr<Task> task = tasks.make(config.task, config);
  const Batch batch = text.file ? text_batch(config, text, stored.folder) : validation_batch(*task, text);
  const LanguageModel model = build(stored, plugins, vocabulary_of(config, *task));
  CheckpointGates result{.model = stored.folder.string(), .tokens = batch.tokens_BT.numel()};
  std::vector<Gate> some;  // of every head, for the whole
  constexpr std::size_t of_a_head = 4096;
  model.hidden(batch.tokens_BT, batch.documents, nullptr,
               [&](std::size_t layer, const Rule& own, const Weights& weights, const at::Tensor& normed_BTD) {
                 if (stored.spec.layers[layer].name != rule) return;
                 const std::optional<Coefficients> coefficients = own.coefficients(normed_BTD, weights);
                 if (!coefficients) return;
                 std::int64_t head = 0;
                 for (const std::vector<Gate>& gates : gates_by_head(*coefficients)) {
                   result.heads.push_back(report_head(static_cast<std::int64_t>(layer), head++, gates));
                   std::ranges::copy(evenly(gates, of_a_head), std::back_inserter(some));
                 }
               });
  if (result.heads.empty())
    throw Error(Code::usage, {.what = "layers of " + rule + " do not tell their gates",
                              .expected = "a rule of coefficients"});
  result.all = report_head(0, 0, some);
  result.points = evenly(some, most_points);
  return result;
}

}  // namespace mdnlab
