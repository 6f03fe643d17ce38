// A whole mixer with nothing wrong: convolution, scan with one learned decay, projection. The faulty ones
// change one step of it. Shape letters as in scan/chunk.h; one head of hidden channels.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/softplus.h>

#include <array>

#include "ops/layer.h"
#include "rule/abi.h"
#include "scan/chunk.h"

namespace mdnlab {

inline constexpr std::array<Field, 0> no_options{};

class SoundMixer : public Rule {
 public:
  explicit SoundMixer(const LayerShape& shape) : hidden_(shape.hidden_size) {}

  std::vector<ParameterSpec> parameters() const override {
    return {{"mix.weight", {hidden_, hidden_}, {}},
            {"conv1d.weight", {hidden_, 1, kTaps}, {}},
            {"rate", {1}, {.kind = Initial::Kind::constant, .a = 0}, false}};
  }
  std::vector<StateSpec> state(std::int64_t, at::ScalarType dtype) const override {
    return {{"S", {1, hidden_, hidden_}, dtype == at::kDouble ? at::kDouble : at::kFloat},
            {"convolution", {kTaps - 1, hidden_}, dtype}};
  }
  double mixing_flops(std::int64_t) const override { return 4.0 * static_cast<double>(hidden_ * hidden_); }

  at::Tensor forward(const at::Tensor& x_BTD, const Weights& weights, const ops::Documents& documents,
                     LayerState* state) const override {
    const bool resumes = state && !state->tensors.empty();
    at::Tensor past = resumes ? state->tensors[1] : at::Tensor();
    const at::Tensor mixed = ops::linear(x_BTD, weights["mix.weight"]);
    const at::Tensor y = ops::short_convolution(mixed, weights["conv1d.weight"], {},
                                                convolution_documents(documents), state ? &past : nullptr);
    const at::Tensor row = ops::l2_norm(y).unsqueeze(2);
    const at::Tensor rate = -at::softplus(weights["rate"]);
    scan::Inputs inputs{.q_BTGK = row, .k_BTGK = row, .v_BTHV = y.unsqueeze(2)};
    inputs.log_alpha = rate.expand({x_BTD.size(0), x_BTD.size(1), 1});
    inputs.cu_seqlens = scan_documents(documents).cu_seqlens;
    if (resumes) inputs.initial_S_NHKV = state->tensors[0];
    const scan::Outputs out = scan::chunk(inputs, {.want_state = state != nullptr});
    if (state) {
      state->tensors = {out.final_S_NHKV, past};
      state->position += x_BTD.size(1);
    }
    return finish(out.o_BTHV.squeeze(2));
  }

 protected:
  static constexpr std::int64_t kTaps = 4;

  virtual ops::Documents convolution_documents(const ops::Documents& documents) const { return documents; }
  virtual ops::Documents scan_documents(const ops::Documents& documents) const { return documents; }
  virtual at::Tensor finish(const at::Tensor& o_BTD) const { return o_BTD; }

  std::int64_t hidden_;
};

template <class Mixer>
std::unique_ptr<Rule> make_mixer(const Params&, const LayerShape& shape) {
  return std::make_unique<Mixer>(shape);
}

}  // namespace mdnlab
