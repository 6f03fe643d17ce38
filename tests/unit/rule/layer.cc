#include "layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

namespace mdnlab {

std::string LayerCase::name() const {
  std::string text = rule;
  for (const std::string& option : options) text += "_" + option;
  if (conv_size != 4) text += "_convolution_" + std::to_string(conv_size);
  for (char& c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return text;
}

void PrintTo(const LayerCase& layer, std::ostream* stream) { *stream << layer.name(); }

std::vector<LayerCase> family_cells() {
  std::vector<LayerCase> cells;
  for (const std::string delta : {"true", "false"}) {
    for (const std::string decay : {"none", "scalar", "channel"}) {
      const std::vector<std::string> cell{"delta=" + delta, "decay=" + decay};
      cells.push_back({"family", {cell[0], cell[1], "momentum=false"}});
      for (const std::string constraint : {"none", "paper", "effective_step", "escrow"}) {
        if (constraint == "paper" && decay == "none") continue;  // refused
        cells.push_back({"family", {cell[0], cell[1], "gate_constraint=" + constraint}});
      }
    }
  }
  return cells;
}

std::vector<LayerCase> layer_cases() {
  std::vector<LayerCase> cases{
      {"attention", {}},
      {"attention", {"num_heads=4", "num_kv_heads=2", "qkv_bias=true", "qk_norm=true"}},
      {"decay_momentum", {"num_v_heads=4"}},
      {"decay_momentum", {"gate_constraint=none", "min_log_mu=-0.5", "output_correction=true"}},
      {"delta_momentum", {}},
      {"delta_momentum", {"gate_constraint=escrow", "escrow_c=0.5", "erase_share=true", "look_ahead=0.75"}},
      {"deltanet", {}},
      {"deltanet", {"output_gate=none", "use_short_conv=false", "num_v_heads=6", "output_correction=true"}},
      {"gated_deltanet", {}},
      {"gated_deltanet", {"allow_neg_eigval=true", "output_correction=true"}},
      {"kda", {}},
      {"kda", {"num_v_heads=4", "allow_neg_eigval=true", "output_gate=silu"}},
      {"kda_momentum", {}},
      {"kda_momentum", {"erase_share=true", "num_v_heads=4", "look_ahead=1", "escrow_c=1"}},
      {"kda_momentum", {"gate_constraint=effective_step", "min_log_mu=-0.5"}, 1},
      {"mamba2", {"head_width=4", "state_size=3"}},
      {"mamba2", {"head_width=4", "state_size=3", "n_groups=2"}, 1},
      {"mamba2", {"head_width=4", "state_size=3", "n_groups=2", "norm_groups=2", "norm_before_gate=true"}},
      {"mdn", {}},
      {"mdn", {"gate_constraint=none", "min_log_mu=-0.5", "tau_factor=8", "look_ahead=0.5"}},
      {"mdn", {"output_correction=false"}, 0},
      {"scalar_ssd", {}},
      {"scalar_ssd", {"num_v_heads=6", "use_short_conv=false"}},
      {"sliding_attention", {"window=7"}},
      {"sliding_attention", {"window=1", "num_kv_heads=1"}}};
  for (LayerCase& cell : family_cells()) cases.push_back(std::move(cell));
  return cases;
}

const Plugins& plugins() {
  static const Plugins all;
  return all;
}

std::unique_ptr<Rule> make_rule(const std::string& name, const std::vector<std::string>& options,
                                const LayerShape& shape) {
  const Plugin& plugin = plugins().find(name);
  return plugin.create(read_settings(options, "rule", plugin.options()), shape);
}

Layer::Layer(const LayerCase& choice, at::ScalarType dtype)
    : rule_(make_rule(choice.rule, choice.options,
                      {.hidden_size = hidden,
                       .num_heads = 2,
                       .head_dim = 4,
                       .expand_v = 1.5,
                       .conv_size = choice.conv_size})) {
  const at::NoGradGuard no_grad;
  for (const ParameterSpec& spec : rule_->parameters()) {
    at::Tensor tensor = at::empty(spec.shape, dtype == at::kDouble ? at::kDouble : at::kFloat);
    fill(tensor, spec.initial, 7, spec.name);
    if (spec.initial.kind == Initial::Kind::normal) tensor.mul_(25);  // N(0, ½²): gates far from their middle
    weights_.add(spec.name, tensor);
  }
}

at::Tensor Layer::whole(const at::Tensor& x_BTD, const ops::Documents& documents) const {
  return rule_->forward(x_BTD, weights_, documents, nullptr);
}

at::Tensor Layer::next(const at::Tensor& x_BTD, LayerState& state) const {
  return rule_->forward(x_BTD, weights_, {}, &state);
}

at::Tensor random_input(std::int64_t batch, std::int64_t tokens, at::ScalarType dtype, std::uint64_t seed) {
  at::Tensor x = at::empty({batch, tokens, Layer::hidden}, at::kDouble);
  fill(x, {.kind = Initial::Kind::normal, .a = 1}, seed, "input");
  return x.to(dtype);
}

double relative_error(const at::Tensor& found, const at::Tensor& expected) {
  const at::Tensor wide = expected.to(at::kDouble);
  return ((found.to(at::kDouble) - wide).norm() / wide.norm()).item<double>();
}

}  // namespace mdnlab
