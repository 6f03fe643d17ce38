#include "cli/spectrum_checkpoint.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "base/file.h"
#include "data/tokenizer.h"
#include "run/execute.h"
#include "run/planner.h"

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
  const RunConfig config = read_config(stored.config, plugins);
  TaskMaker tasks(stored.folder);
  const std::unique_ptr<Task> task = tasks.make(config.task, config);
  const Batch batch = text.file ? text_batch(config, text, stored.folder) : validation_batch(*task, text);
  const LanguageModel model = build_model(stored, plugins, at::kFloat);
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
