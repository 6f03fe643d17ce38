#include "run/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "run/kernels.h"
#include "run/sweep.h"
#include "train/options.h"

namespace mdnlab {

namespace {

// Raised whenever the model around the rules, training or evaluation change results.
constexpr int model_version = 1;

std::string run_key(const RunConfig& config, const Plugins& plugins, const std::string& data_digest,
                    const std::string& device_kind) {
  nlohmann::json json = nlohmann::json::parse(config.json());
  json.erase("name");
  if (config.data) {  // the digest stands for the text and its tokenizer, wherever they lie
    json["data"].erase("path");
    json["data"].erase("tokenizer");
  }
  nlohmann::json versions{{"model", model_version}};
  for (const RuleChoice& layer : config.model.layers)
    versions["rules"][layer.name] = plugins.find(layer.name).info().rule_version;
  versions["tasks"][config.task.kind->name] = config.task.kind->version;
  for (const TaskChoice& choice : config.evaluations)
    versions["tasks"][choice.kind->name] = choice.kind->version;
  const nlohmann::json whole{
      {"config", json}, {"versions", versions}, {"device", device_kind}, {"data", data_digest}};
  return sha256(whole.dump()).substr(0, 32);
}

bool equal_values(const std::string& found, const std::string& wanted) {
  double a = 0, b = 0;
  return found == wanted || (parse_real(found, a) && parse_real(wanted, b) && a == b);
}

}  // namespace

std::unique_ptr<Task> TaskMaker::make(const TaskChoice& choice, const RunConfig& config) {
  return make(choice, config, config.train.integer("seq_len"),
              static_cast<std::uint64_t>(config.train.integer("seed")));
}

std::unique_ptr<Task> TaskMaker::make_trained(const RunConfig& config, std::int64_t seq_len,
                                              std::uint64_t seed) {
  return make(config.task, config, seq_len, seed);
}

std::unique_ptr<Task> TaskMaker::make(const TaskChoice& choice, const RunConfig& config, std::int64_t seq_len,
                                      std::uint64_t seed) {
  TaskContext context{.seq_len = seq_len, .seed = seed};
  context.base = base_;
  context.trained = [&](std::int64_t length, std::uint64_t with_seed) {
    return make_trained(config, length, with_seed);
  };
  if (choice.kind->needs_corpus) {
    const std::string key = config.data->json();
    std::shared_ptr<const Corpus>& corpus = corpora_[key];
    if (!corpus) corpus = std::make_shared<const Corpus>(*config.data, base_);
    context.corpus = corpus;
    context.tokenizer = {corpus, &corpus->tokenizer()};
  } else {
    const std::string words = config.data ? config.data->text("tokenizer") : "byte";
    std::shared_ptr<const Tokenizer>& tokenizer = tokenizers_[words];
    if (!tokenizer)
      tokenizer = make_tokenizer(words, base_, config.data ? config.data->place("tokenizer") : Place{});
    context.tokenizer = tokenizer;
  }
  try {
    return choice.kind->make(choice.options, context);
  } catch (const Error& error) {
    if (!error.text().place.file.empty()) throw;
    ErrorText text = error.text();  // e.g. a text too short for the task's windows
    text.place = choice.options.place();
    throw Error(error.code(), std::move(text));
  }
}

std::int64_t vocabulary_of(const RunConfig& config, const Task& task) {
  const Params& model = config.model.options;
  if (!model.is_set("vocab_size")) return task.vocab_size();
  if (model.integer("vocab_size") < task.vocab_size()) {
    const std::string whose = config.task.kind->needs_corpus
                                  ? "vocabulary of the tokenizer " + quote(config.data->text("tokenizer"))
                                  : "task's vocabulary";
    throw model.error("vocab_size", "vocab_size is smaller than the " + whose,
                      grouped(task.vocab_size()) + " or more");
  }
  return model.integer("vocab_size");
}

PlannedRun describe_run(RunConfig config, const Plugins& plugins, TaskMaker& tasks, c10::Device device) {
  PlannedRun run;
  run.task = tasks.make(config.task, config);
  const std::int64_t vocabulary = run.vocab_size = vocabulary_of(config, *run.task);
  std::string data_digest = run.task->data_digest();
  std::set<std::string> digests{data_digest};
  for (const TaskChoice& choice : config.evaluations) {
    const std::unique_ptr<Task> asked = tasks.make(choice, config);
    const std::string own = asked->data_digest();
    if (digests.insert(own).second) data_digest += own;
    const std::int64_t needed = asked->vocab_size();
    if (needed > vocabulary) {
      throw Error(Code::usage,
                  {choice.options.place(), "the evaluation has tokens that the model was not trained with",
                   "a vocabulary of " + grouped(needed), "at most " + grouped(vocabulary)});
    }
  }
  const auto rules = build_rules(config.model, plugins);
  const ModelFacts facts = model_facts(config.model, rules, vocabulary, config.train.integer("seq_len"),
                                       dtype_of(config.train.text("dtype")));
  run.flops_per_token = facts.flops_per_token;
  run.kernel = kernels_of(config.model, rules, plugins, dtype_of(config.train.text("dtype")), device);
  const std::string device_kind = device.is_cpu() ? "cpu" : "cuda";
  run.row = {.key = run_key(config, plugins, data_digest, device_kind),
             .sweep = config.name,
             .name = config.name,
             .rule = config.model.rule_text(),
             .task = config.task.kind->name,
             .seed = config.train.integer("seed"),
             .steps = config.train.integer("steps"),
             .tokens_per_step = config.train.integer("tokens_per_step"),
             .parameters = facts.parameters,
             .state_bytes = facts.state_bytes,
             .device_kind = device_kind,
             .config_json = config.json(),
             .config_yaml = config.json(true)};
  run.config = std::move(config);
  return run;
}

std::vector<PlannedRun> make_plan(const std::filesystem::path& file, const Plugins& plugins,
                                  c10::Device device) {
  const Node root = parse_yaml_file(file);
  TaskMaker tasks(std::filesystem::absolute(file).parent_path());
  std::vector<PlannedRun> plan;
  std::set<std::string> keys;
  for (const SweepPoint& point : expand_sweep(root)) {
    PlannedRun run = describe_run(read_config(point.document, plugins), plugins, tasks, device);
    if (!keys.insert(run.row.key).second) continue;
    if (run.row.sweep.empty()) run.row.sweep = file.stem().string();
    run.row.name = point.label.empty() ? run.row.sweep : point.label;
    run.index = static_cast<std::int64_t>(plan.size());
    plan.push_back(std::move(run));
  }
  return plan;
}

void keep_shard(std::vector<PlannedRun>& plan, std::int64_t index, std::int64_t count) {
  std::erase_if(plan, [&](const PlannedRun& run) { return run.index % count != index; });
}

void keep_only(std::vector<PlannedRun>& plan, std::span<const std::string> filters) {
  std::map<std::string, std::vector<std::string>> wanted;
  for (const std::string& filter : filters) {
    const std::size_t equals = filter.find('=');
    if (equals == std::string::npos) {
      throw Error(
          Code::usage,
          {.what = "--only takes path=value", .found = quote(filter), .expected = "e.g. rule.name=mdn"});
    }
    wanted[filter.substr(0, equals)].push_back(filter.substr(equals + 1));
  }
  std::vector<Node> resolved;
  for (const PlannedRun& run : plan) resolved.push_back(parse_yaml(run.row.config_json, run.row.name));
  for (const auto& [path, values] : wanted) {
    if (!plan.empty() &&
        std::ranges::none_of(resolved, [&](const Node& root) { return find_path(root, path) != nullptr; })) {
      throw Error(Code::usage, {.what = "--only names a path that no run has",
                                .found = quote(path),
                                .hint = "`mdnlab plan FILE --json` prints the resolved configurations"});
    }
  }
  const auto matches = [&](const Node& root) {
    return std::ranges::all_of(wanted, [&](const auto& filter) {
      const Node* node = find_path(root, filter.first);
      return node && std::ranges::any_of(filter.second, [&](const std::string& value) {
               return equal_values(node->scalar, value);
             });
    });
  };
  std::size_t at = 0;
  std::erase_if(plan, [&](const PlannedRun&) { return !matches(resolved[at++]); });
}

}  // namespace mdnlab
