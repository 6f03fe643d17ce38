#include "train/training_state.h"

#include <nlohmann/json.hpp>

#include "train/options.h"

namespace mdnlab {

namespace {

constexpr std::int64_t world_size = 1;  // processes that train one model together

}  // namespace

std::string state_json(const TrainingState& state, const Params& train) {
  const std::int64_t tokens = state.step * train.integer("tokens_per_step");
  const std::int64_t sequences = tokens / train.integer("seq_len");
  return nlohmann::json{{"step", state.step},
                        {"sequence", sequences},
                        {"tokens", tokens},
                        {"random", {{"seed", train.integer("seed")}, {"stream", sequences}}},
                        {"skipped", {{"steps", state.skipped}, {"in_a_row", state.skipped_in_a_row}}},
                        {"world_size", world_size},
                        {"accumulation", accumulation(train)}}
      .dump();
}

TrainingState read_state(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("step"))
    throw Error(Code::failed, "the checkpoint's state.json is no state of a training");
  const std::int64_t written_by = json.value("world_size", world_size);
  if (written_by != world_size) {
    throw Error(Code::failed, {.what = "the checkpoint's training is shared by several processes",
                               .found = "world_size " + std::to_string(written_by),
                               .expected = "world_size " + std::to_string(world_size),
                               .hint = "go on with as many, or remove the run's folder to begin again"});
  }
  TrainingState state{.step = json["step"].get<std::int64_t>()};
  if (json.contains("skipped")) {
    state.skipped = json["skipped"].value("steps", std::int64_t{0});
    state.skipped_in_a_row = json["skipped"].value("in_a_row", std::int64_t{0});
  }
  return state;
}

}  // namespace mdnlab
