#include "check/decoding_bench.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "base/random.h"
#include "model/decode.h"
#include "model/stepper.h"
#include "scan/upload.h"

namespace mdnlab {

namespace {

constexpr std::int64_t copied_bytes = std::int64_t{1} << 30;

at::Tensor random_prompt(const LanguageModel& model, std::int64_t tokens) {
  Random random{1};
  const at::Tensor prompt = at::empty({1, tokens}, at::kLong);
  auto* const ids = prompt.data_ptr<std::int64_t>();
  std::generate_n(ids, tokens, [&] {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(model.vocab_size())));
  });
  return upload(prompt, model.device());
}

ModelState read(const LanguageModel& model, const at::Tensor& prompt) {
  ModelState state;
  for (std::int64_t first = 0; first < prompt.size(1); first += prompt_segment_tokens) {
    model.hidden(prompt.narrow(1, first, std::min(prompt_segment_tokens, prompt.size(1) - first)), {},
                 &state);
  }
  return state;
}

ModelState repeated(ModelState state, std::int64_t sequences) {
  for (LayerState& layer : state.layers) {
    for (at::Tensor& tensor : layer.tensors) tensor = tensor.repeat_interleave(sequences, 0);
  }
  return state;
}

double copy_rate(at::Device device) {
  if (device.is_cpu()) return 0;
  const at::Tensor from = at::zeros({copied_bytes}, at::TensorOptions(device).dtype(at::kByte)),
                   to = at::empty_like(from);
  const Timing timing = time_work(device, 9, [&] { to.copy_(from); });
  return 2e-6 * static_cast<double>(copied_bytes) / timing.median_ms;
}

}  // namespace

DecodingTimes time_decoding(const LanguageModel& given, const DecodingBench& bench) {
  const at::NoGradGuard no_grad;
  const LanguageModel model = given.without_gradients();
  const at::Tensor prompt = random_prompt(model, bench.prompt_tokens);
  DecodingTimes times{.copied_gbps = copy_rate(model.device())};
  times.prompt = time_work(model.device(), bench.repeats, [&] { read(model, prompt); });
  Stepper stepper(model, repeated(read(model, prompt), bench.sequences));
  stepper.step(at::zeros({bench.sequences}, at::kLong));
  times.step = time_work(model.device(), bench.repeats, [&] {
    for (std::int64_t i = 0; i < bench.step_tokens; ++i) stepper.step_likeliest();
  });
  times.step.median_ms /= static_cast<double>(bench.step_tokens);
  times.step.spread_ms /= static_cast<double>(bench.step_tokens);
  times.bytes =
      model.step_bytes(bench.sequences, bench.prompt_tokens + bench.step_tokens * (bench.repeats + 2) / 2);
  return times;
}

}  // namespace mdnlab
