#include "interop/stored_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>

#include <array>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "interop/digests.h"
#include "interop/fit_tensors.h"
#include "interop/peer_config.h"
#include "interop/peer_tensors.h"

namespace mdnlab {

namespace {

namespace fs = std::filesystem;

constexpr const char* model_file = "model.safetensors";
constexpr const char* config_file = "config.json";
constexpr std::array<const char*, 2> checkpoint_files{model_file, config_file};
constexpr const char* embedding = "model.embeddings.weight";
constexpr const char* head = "lm_head.weight";

std::string same(const std::string& name) { return name; }

// Of a checkpoint, what cannot be read is damaged before it is malformed.
Node read_config(const fs::path& folder) {
  try {
    return parse_yaml_file(folder / config_file);
  } catch (const Error&) {
    std::error_code ignored;
    if (fs::exists(folder / digests_file, ignored)) verify_digests(folder, checkpoint_files);
    throw;
  }
}

StoredModel read_checkpoint(const fs::path& folder, Node config, const Plugins& plugins) {
  verify_digests(folder, checkpoint_files);
  StoredModel model{.folder = folder, .spec = read_model(config, plugins)};
  TensorMap tensors = read_safetensors(folder / model_file).tensors;
  // The vocabulary may be the task's: the embedding has it.
  const auto found = tensors.find(embedding);
  model.vocab_size = found != tensors.end() && found->second.dim() == 2 ? found->second.size(0) : 1;
  const auto specs = parameter_specs(model.spec, build_rules(model.spec, plugins), model.vocab_size);
  model.weights = fit_tensors(std::move(tensors), specs, same, (folder / model_file).string());
  model.config = std::move(config);
  return model;
}

StoredModel read_peer(const fs::path& folder, const Node& config, const Node& model_type,
                      const Plugins& plugins) {
  const PeerLayout& layout = peer_layout(model_type.scalar, model_type.place);
  Node document = document_of_peer(config, layout, plugins);
  StoredModel model{.folder = folder, .spec = read_model(document, plugins)};
  if (!model.spec.options.is_set("vocab_size")) {
    throw Error(Code::usage, {config.place, "config.json does not say its vocab_size"});
  }
  model.vocab_size = model.spec.options.integer("vocab_size");
  const auto specs = parameter_specs(model.spec, build_rules(model.spec, plugins), model.vocab_size);
  const auto there = [&](const std::string& name) { return peer_name(layout, name); };
  PeerTensors peer = read_peer_tensors(folder);
  if (layout.is_mamba) {  // as its earliest checkpoints call it
    auto early = peer.tensors.extract("backbone.embedding.weight");
    if (!early.empty()) peer.tensors["backbone.embeddings.weight"] = early.mapped();
  }
  undo_drift(peer.tensors, specs, there);
  // A tied head may be stored once or twice.
  const auto tied = peer.tensors.find(head), source = peer.tensors.find(there(embedding));
  if (model.spec.options.boolean("tie_word_embeddings") && tied != peer.tensors.end() &&
      source != peer.tensors.end() && at::equal(tied->second, source->second)) {
    peer.tensors.erase(tied);
  }
  model.weights = fit_tensors(std::move(peer.tensors), specs, there, peer.file.string());
  model.config = std::move(document);
  return model;
}

// `fill` gets a folder beside the final one, which then takes its name: it is whole or not there.
void make_folder(const fs::path& given, const std::function<void(const fs::path&)>& fill) {
  const fs::path normal = fs::absolute(given).lexically_normal();
  const fs::path folder = normal.has_filename() ? normal : normal.parent_path();
  std::error_code cause;
  if (fs::exists(folder, cause)) {
    throw Error(Code::usage,
                {.place = {.file = given.string()}, .what = "is there already", .expected = "a new folder"});
  }
  const fs::path temporary = folder.parent_path() / (".writing-" + folder.filename().string());
  const auto check = [&](const fs::path& path) {
    if (!cause) return;
    throw Error(cause == std::errc::no_space_on_device ? Code::store : Code::usage,
                {.place = {.file = path.string()}, .what = "cannot make the folder: " + cause.message()});
  };
  fs::remove_all(temporary, cause);
  fs::create_directories(temporary, cause);
  check(temporary);
  try {
    fill(temporary);
    fs::rename(temporary, folder, cause);
    check(folder);
  } catch (...) {
    fs::remove_all(temporary, cause);
    throw;
  }
  sync_folder(folder.parent_path());
}

}  // namespace

StoredModel read_stored_model(const fs::path& folder, const Plugins& plugins) {
  std::error_code cause;
  if (!fs::is_directory(folder, cause)) {
    throw Error(Code::usage, {.place = {.file = folder.string()},
                              .what = fs::exists(folder, cause) ? "is no folder" : "is not there",
                              .expected = "a folder with config.json and model.safetensors"});
  }
  Node config = read_config(folder);
  const Node* schema = config.find("schema");
  const Node* model_type = config.find("model_type");
  if (schema && schema->scalar == "1") return read_checkpoint(folder, std::move(config), plugins);
  if (schema) {
    throw Error(Code::usage,
                {schema->place, "this program reads schema 1", quote(schema->scalar), "schema: 1"});
  }
  if (!model_type || model_type->kind != Node::Kind::scalar) {
    throw Error(
        Code::usage,
        {config.place, "neither a checkpoint's configuration nor a peer's", {}, "`schema` or `model_type`"});
  }
  return read_peer(folder, config, *model_type, plugins);
}

void write_checkpoint(const fs::path& folder, const StoredModel& model) {
  nlohmann::ordered_json config{{"schema", 1}};
  config.update(nlohmann::ordered_json::parse(model.spec.json()));
  make_folder(folder, [&](const fs::path& place) {
    write_safetensors(place / model_file, model.weights);
    write_file(place / config_file, config.dump(2) + "\n");
    write_digests(place, checkpoint_files);
  });
}

void write_peer_model(const fs::path& folder, const StoredModel& model, const Plugins& plugins) {
  const PeerLayout& layout = layout_for(model.spec);
  const std::string config = peer_config(model.spec, layout, model.vocab_size, plugins);
  TensorMap tensors;
  for (const auto& [name, tensor] : model.weights) tensors[peer_name(layout, name)] = tensor;
  make_folder(folder, [&](const fs::path& place) {
    write_safetensors(place / model_file, tensors, {{"format", "pt"}});
    write_file(place / config_file, config);
  });
}

LanguageModel build_model(const StoredModel& model, const Plugins& plugins, at::ScalarType dtype,
                          at::Device device) {
  return LanguageModel(model.spec, plugins, model.vocab_size, dtype, model.weights, device);
}

}  // namespace mdnlab
