#include "run/config.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "data/fields.h"
#include "train/options.h"

namespace mdnlab {

namespace {

using Json = nlohmann::ordered_json;

void check_document(const Node& root) {
  if (root.kind != Node::Kind::map) {
    throw Error(Code::usage,
                {root.place, "a configuration is a map", {}, "schema: 1, rule, model, task, train, …"});
  }
  const auto keys = document_keys();
  for (const Node::Entry& entry : root.entries) {
    if (std::ranges::find(keys, entry.key) == keys.end()) {
      throw Error(Code::usage,
                  {entry.place, "unknown section", quote(entry.key), {}, suggestion(entry.key, keys)});
    }
  }
  const Node* schema = root.find("schema");
  if (!schema)
    throw Error(Code::usage, {root.place, "the document does not say its schema", {}, "schema: 1"});
  if (schema->scalar != "1") {
    throw Error(Code::usage,
                {schema->place, "this program reads schema 1", quote(schema->scalar), "schema: 1"});
  }
}

const Node& section(const Node& root, std::string_view key) {
  const Node* node = root.find(key);
  if (!node) throw Error(Code::usage, {root.place, "the section `" + std::string(key) + "` is missing"});
  return *node;
}

// {name: mqar, …} under `task:`, {task: mqar, …} in the list `eval:`
TaskChoice read_task(const Node& node, const std::string& where, const std::string& name_key) {
  const Node* name = node.kind == Node::Kind::map ? node.find(name_key) : nullptr;
  if (!name || name->kind != Node::Kind::scalar) {
    throw Error(Code::usage, {node.place, where + " lacks the task's name", {}, name_key + ": …"});
  }
  const TaskKind& kind = find_task(name->scalar, name->place);
  const std::string own[] = {name_key};
  return {&kind, read_params(node, where, kind.fields, own)};
}

Json named(const char* key, const std::string& name, const Params& options) {
  Json json{{key, name}};
  json.update(Json::parse(options.json()));
  return json;
}

}  // namespace

std::span<const std::string> document_keys() {
  static const std::array<std::string, 9> keys{"schema", "name",  "rule", "model", "data",
                                               "task",   "train", "eval", "sweep"};
  return keys;
}

RunConfig read_config(const Node& root, const Plugins& plugins) {
  check_document(root);
  RunConfig config;
  if (const Node* name = root.find("name"); name && name->kind != Node::Kind::null) {
    if (name->kind != Node::Kind::scalar)
      throw Error(Code::usage, {name->place, "name has the wrong type", {}, "a text"});
    config.name = name->scalar;
  }
  config.task = read_task(section(root, "task"), "task", "name");
  if (!config.task.kind->trains) {
    throw Error(Code::usage,
                {config.task.options.place(),
                 "the task " + quote(config.task.kind->name) + " asks and does not train",
                 {},
                 "a place in the list eval: [{task: " + std::string(config.task.kind->name) + "}]",
                 {}});
  }
  config.train = read_train(section(root, "train"));
  config.model = read_model(root, plugins);
  if (const Node* data = root.find("data"); data && data->kind != Node::Kind::null) {
    config.data = read_params(*data, "data", data_fields());
  }
  if (const Node* list = root.find("eval"); list && list->kind != Node::Kind::null) {
    if (list->kind != Node::Kind::list) {
      throw Error(Code::usage, {list->place, "eval is no list", {}, "eval: [{task: …, settings}]"});
    }
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      config.evaluations.push_back(read_task(list->items[i], "eval[" + std::to_string(i) + "]", "task"));
    }
  } else {
    config.evaluations.push_back(config.task);
  }
  std::vector<const TaskChoice*> tasks{&config.task};
  for (const TaskChoice& choice : config.evaluations) tasks.push_back(&choice);
  for (const TaskChoice* choice : tasks) {
    if (choice->kind->needs_corpus && !config.data) {
      throw Error(Code::usage,
                  {choice->options.place(), "the task " + quote(choice->kind->name) + " reads a text",
                   "no section `data`", "data: {path: …}"});
    }
  }
  return config;
}

std::string RunConfig::json(bool pretty) const {
  Json root{{"schema", 1}};
  if (!name.empty()) root["name"] = name;
  root.update(Json::parse(model.json()));
  if (data) root["data"] = Json::parse(data->json());
  root["task"] = named("name", task.kind->name, task.options);
  root["train"] = Json::parse(train.json());
  root["eval"] = Json::array();
  for (const TaskChoice& choice : evaluations)
    root["eval"].push_back(named("task", choice.kind->name, choice.options));
  return root.dump(pretty ? 2 : -1);
}

}  // namespace mdnlab
