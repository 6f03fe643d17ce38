// A YAML file → the ordered list of its runs, each with its key and what is known of it before it starts.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "run/config.h"
#include "store/runs.h"

namespace mdnlab {

// A task with what it needs around it: corpus and tokenizer are opened once for all runs that read the same.
class TaskMaker {
 public:
  explicit TaskMaker(std::filesystem::path base) : base_(std::move(base)) {}  // the folder of the YAML file

  std::unique_ptr<Task> make(const TaskChoice& choice, const RunConfig& config);

  // The task that the run trains on, with sequences of another length and another seed.
  std::unique_ptr<Task> make_trained(const RunConfig& config, std::int64_t seq_len, std::uint64_t seed);

 private:
  std::unique_ptr<Task> make(const TaskChoice& choice, const RunConfig& config, std::int64_t seq_len,
                             std::uint64_t seed);

  std::filesystem::path base_;
  std::map<std::string, std::shared_ptr<const Corpus>> corpora_;        // by their options
  std::map<std::string, std::shared_ptr<const Tokenizer>> tokenizers_;  // by their words
};

struct PlannedRun {
  std::int64_t index = 0;  // in the whole plan, from 0
  RunConfig config;
  RunPlan row;         // key and facts, as the store keeps them
  std::string kernel;  // kernels_of (kernels.h)
  double flops_per_token = 0;
  std::shared_ptr<const Task> task;  // that it is trained on
  std::int64_t vocab_size = 0;
};

// A run's key and facts from its configuration. The key hashes the resolved options (dtype and threads among
// them, names and paths left out), the device kind, the versions of rules, tasks and model, and the digest of
// the data.
PlannedRun describe_run(RunConfig config, const Plugins& plugins, TaskMaker& tasks,
                        c10::Device device = c10::kCPU);

// The whole plan. Points of the sweep that resolve to the same run appear once.
std::vector<PlannedRun> make_plan(const std::filesystem::path& file, const Plugins& plugins,
                                  c10::Device device = c10::kCPU);

// Keeps the runs of shard `index` of `count` (plan index mod count).
void keep_shard(std::vector<PlannedRun>& plan, std::int64_t index, std::int64_t count);

// Keeps the runs that match `path=value` words: the same path is ORed, different ones are ANDed. A path that
// no resolved configuration has is Code::usage.
void keep_only(std::vector<PlannedRun>& plan, std::span<const std::string> filters);

// vocab_size of the options, or the task's; smaller than the task's is an Error.
std::int64_t vocabulary_of(const RunConfig& config, const Task& task);

}  // namespace mdnlab
