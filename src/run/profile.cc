#include "run/profile.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "run/numerics.h"
#include "train/trainer.h"

namespace mdnlab {

namespace {

using Event = torch::autograd::profiler::KinetoEvent;

// Allocations and choices of library kernels are made in the first steps.
constexpr int kUntimedSteps = 5;

std::string kind_of(std::string_view name) {
  struct Word {
    std::string_view in_name;
    const char* kind;
  };
  // The first that is found counts.
  static constexpr std::array words{Word{"mdnlab::scan", "scan"},
                                    Word{"mdnlab::ops", "fused operations"},
                                    Word{"flash", "attention"},
                                    Word{"fmha", "attention"},
                                    Word{"sdpa", "attention"},
                                    Word{"scaled_dot_product", "attention"},
                                    Word{"gemm", "matrix products"},
                                    Word{"nvjet", "matrix products"},
                                    Word{"gemv", "matrix products"},
                                    Word{"splitK", "matrix products"},
                                    Word{"aten::mm", "matrix products"},
                                    Word{"aten::addmm", "matrix products"},
                                    Word{"aten::bmm", "matrix products"},
                                    Word{"multi_tensor_apply", "optimizer"},
                                    Word{"adam", "optimizer"},
                                    Word{"lpnorm", "optimizer"},
                                    Word{"foreach", "optimizer"},
                                    Word{"oftmax", "loss"},
                                    Word{"oftMax", "loss"},
                                    Word{"nll_loss", "loss"},
                                    Word{"cross_entropy", "loss"},
                                    Word{"Memcpy", "copies"},
                                    Word{"Memset", "copies"},
                                    Word{"copy_", "copies"}};
  const auto found =
      std::ranges::find_if(words, [&](const Word& word) { return name.find(word.in_name) != name.npos; });
  return found == words.end() ? "other" : found->kind;
}

// Nanoseconds of each event that none of the events within it covers; the events of one thread nest.
std::vector<std::uint64_t> own_time(const std::vector<const Event*>& sorted) {
  std::vector<std::uint64_t> own;
  std::map<std::uint64_t, std::vector<std::size_t>> open;  // by thread, the innermost last
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    own.push_back(sorted[i]->durationNs());
    std::vector<std::size_t>& stack = open[sorted[i]->startThreadId()];
    while (!stack.empty() && sorted[stack.back()]->endNs() <= sorted[i]->startNs()) stack.pop_back();
    if (!stack.empty()) own[stack.back()] -= std::min(own[stack.back()], sorted[i]->durationNs());
    stack.push_back(i);
  }
  return own;
}

StepProfile summary(const std::vector<Event>& events, c10::Device device) {
  std::vector<const Event*> sorted;
  for (const Event& event : events) {
    if (event.deviceType() == device.type() && event.durationNs() > 0) sorted.push_back(&event);
  }
  std::ranges::stable_sort(sorted, {}, &Event::startNs);
  if (sorted.empty()) throw Error(Code::machine, "LibTorch's profiler saw nothing run on " + device.str());

  const std::vector<std::uint64_t> own = own_time(sorted);
  std::map<std::string, ProfiledOperation> by_name;
  std::uint64_t end = sorted[0]->startNs(), idle = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const Event& event = *sorted[i];
    ProfiledOperation& operation = by_name[event.name()];
    operation.ms += static_cast<double>(device.is_cpu() ? own[i] : event.durationNs()) / 1e6;
    ++operation.calls;
    if (event.startNs() > end) idle += event.startNs() - end;
    end = std::max(end, event.endNs());
  }
  StepProfile profile{.step_ms = static_cast<double>(end - sorted[0]->startNs()) / 1e6,
                      .idle_ms = static_cast<double>(idle) / 1e6};
  for (auto& [name, operation] : by_name) {
    operation.kind = kind_of(name);
    operation.name = name;
    profile.operations.push_back(std::move(operation));
  }
  std::ranges::stable_sort(profile.operations, std::ranges::greater{}, &ProfiledOperation::ms);
  return profile;
}

}  // namespace

StepProfile profile_step(const PlannedRun& run, const Plugins& plugins, c10::Device device,
                         const std::filesystem::path& trace) {
  const RunConfig& config = run.config;
  set_numerics(config.train);
  LanguageModel model(config.model, plugins, run.vocab_size, dtype_of(config.train.text("dtype")),
                      static_cast<std::uint64_t>(config.train.integer("seed")), device);
  Trainer trainer(model, *run.task, config.train, {}, {});
  for (int step = 0; step < kUntimedSteps; ++step) trainer.step();

  using namespace torch::profiler::impl;
  using namespace torch::autograd::profiler;
  const ProfilerConfig settings(ProfilerState::KINETO);
  std::set<ActivityType> seen{ActivityType::CPU};
  if (device.is_cuda()) seen.insert(ActivityType::CUDA);
  prepareProfiler(settings, seen);
  enableProfiler(settings, seen, {at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION});
  trainer.step();  // reads its loss: the device is done
  const std::unique_ptr<ProfilerResult> result = disableProfiler();
  result->save(trace.string());
  return summary(result->events(), device);
}

}  // namespace mdnlab
