#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "check/layer_checks.h"
#include "check/poisoned_memory.h"

namespace mdnlab::check {

namespace {

constexpr std::int64_t kTokens = 67;  // a prime, more than two chunks of the scan
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr at::ScalarType kDtypes[] = {at::kDouble, at::kFloat, at::kBFloat16};

class Sequence {
 public:
  Sequence(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict)
      : choice_(choice),
        seed_(seed),
        device_(device),
        steps_(choice.plugin->info().capabilities.step),
        judge_(choice, at::kDouble, seed),
        verdict_(verdict) {}

  void check() {
    const auto part = [&](const char* group, void (Sequence::*body)()) {
      group_ = group;
      verdict_.attempt(where("", at::kDouble), [&] { (this->*body)(); });
    };
    part("forward", &Sequence::forward);
    part("documents", &Sequence::documents);
    part("causality", &Sequence::causality);
    part("rows", &Sequence::rows);
    part("repeat", &Sequence::repeat);
    if (!steps_) return;
    part("step", &Sequence::step);
    part("split", &Sequence::split);
  }

 private:
  Where where(const std::string& variant, at::ScalarType dtype) const {
    return layer_where(choice_, group_, variant, dtype);
  }
  // Under test.
  Layer layer(at::ScalarType dtype) const { return {choice_, dtype, seed_, device_}; }

  // The judge's answer: token by token, or at once from a rule that cannot.
  at::Tensor judged(const Layer& judge, const at::Tensor& x, LayerState& state) const {
    return steps_ ? judge.token_by_token(x, state) : judge.whole(x);
  }
  at::Tensor judged(const at::Tensor& x) const {
    LayerState state;
    return judged(judge_, x.to(at::kDouble), state);
  }

  // What a bf16 layer may be off by, for this input.
  double bf16_tolerance(const at::Tensor& x, const at::Tensor& exact) const {
    Weights rounded;
    for (const auto& [name, tensor] : judge_.weights().all())
      rounded.add(name, tensor.to(at::kBFloat16).to(at::kDouble));
    LayerState state;
    const at::Tensor y =
        judged(judge_.with(std::move(rounded), at::kDouble), x.to(at::kBFloat16).to(at::kDouble), state);
    return bf16_layer_tolerance(y, exact);
  }

  void forward() {
    const at::NoGradGuard no_grad;
    for (const std::int64_t T :
         {std::int64_t{1}, std::int64_t{31}, std::int64_t{32}, std::int64_t{33}, kTokens}) {
      const at::Tensor x = judge_.input(2, T), expected = judged(x);
      const std::string variant = "T=" + std::to_string(T);
      for (const at::ScalarType dtype : kDtypes) {
        const double most = dtype == at::kBFloat16 ? bf16_tolerance(x, expected) : tolerance(dtype);
        const Layer runner = layer(dtype);
        verdict_.close(where(variant, dtype), "y", runner.whole(runner.given(x)), expected, most);
      }
    }
  }

  // A prompt at once, then token by token.
  void step() {
    const at::NoGradGuard no_grad;
    const at::Tensor x = judge_.input(2, kTokens), expected = judged(x);
    for (const at::ScalarType dtype : kDtypes) {
      const Layer decoder = layer(dtype);
      LayerState state;
      const at::Tensor all = decoder.given(x);
      const at::Tensor prompt = decoder.next(all.narrow(1, 0, 33), state);
      const at::Tensor rest = decoder.token_by_token(all.narrow(1, 33, kTokens - 33), state);
      const double most = dtype == at::kBFloat16 ? bf16_tolerance(x, expected) : tolerance(dtype);
      verdict_.close(where("", dtype), "y", at::cat({prompt, rest}, 1), expected, most);
    }
  }

  void split() {
    const at::NoGradGuard no_grad;
    const at::Tensor x = judge_.input(2, kTokens);
    LayerState expected_state;
    const at::Tensor expected = judged(judge_, x, expected_state);
    const std::vector<StateSpec> specs = judge_.rule().state(kTokens, at::kDouble);
    const Layer runner = layer(at::kDouble);
    for (const std::vector<std::int64_t>& cut :
         std::vector<std::vector<std::int64_t>>{{33, 34}, {1, 66}, {2, 48, 17}, {66, 1}}) {
      LayerState state;
      std::vector<at::Tensor> y;
      std::int64_t done = 0;
      for (const std::int64_t tokens : cut) {
        y.push_back(runner.next(runner.given(x).narrow(1, done, tokens), state));
        done += tokens;
      }
      const Where here = where("at=" + std::to_string(cut[0]), at::kDouble);
      verdict_.close(here, "y", at::cat(y, 1), expected);
      for (std::size_t i = 0; i < std::min(specs.size(), state.tensors.size()); ++i)
        verdict_.close(here, specs[i].name, state.tensors[i], expected_state.tensors[i]);
    }
  }

  // Row 0 holds documents of 3, 1, 29 and 14 tokens, row 1 of 32 and 15.
  void documents() {
    const std::vector<std::int64_t> starts{0, 3, 4, 33, 47, 47 + 32, 94};
    const ops::Documents packing = ops::documents(2, 47, {3, 4, 33, 47 + 32}).to(device_);
    const auto separately = [&](const at::Tensor& x, const auto& run) {
      std::vector<at::Tensor> y;
      for (std::size_t n = 0; n + 1 < starts.size(); ++n)
        y.push_back(run(x.flatten(0, 1).slice(0, starts[n], starts[n + 1]).unsqueeze(0)));
      return at::cat(y, 1).view(x.sizes());
    };
    for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
      const at::NoGradGuard no_grad;
      const at::Tensor x = judge_.input(2, 47);
      const Layer runner = layer(dtype);
      verdict_.close(where("", dtype), "y", runner.whole(runner.given(x), packing),
                     separately(x, [this](const at::Tensor& alone) { return judged(alone); }));
    }
    const at::Tensor x = judge_.input(2, 47).requires_grad_(true), adjoint = judge_.input(2, 47, "adjoint");
    const auto gradient = [&](const at::Tensor& y) {
      return torch::autograd::grad({y}, {x}, {adjoint.to(y.device())})[0];
    };
    const Layer runner = layer(at::kDouble);
    verdict_.close(where("", at::kDouble), "d_x", gradient(runner.whole(runner.given(x), packing)),
                   gradient(separately(x, [this](const at::Tensor& alone) { return judge_.whole(alone); })));
  }

  // A later token never changes an earlier output, nor does an earlier output's loss reach a later token.
  void causality() {
    for (const at::ScalarType dtype : kDtypes) {
      const Layer runner = layer(dtype);
      const at::Tensor x = runner.input(2, kTokens), later = runner.input(2, kTokens, "later");
      const at::Tensor before = runner.whole(x);
      for (const std::int64_t t :
           {std::int64_t{1}, std::int64_t{20}, std::int64_t{32}, std::int64_t{33}, kTokens - 1}) {
        const at::Tensor other = at::cat({x.narrow(1, 0, t), later.narrow(1, t, kTokens - t) * 10}, 1);
        verdict_.equal(where("t=" + std::to_string(t), dtype), "y", runner.whole(other).narrow(1, 0, t),
                       before.narrow(1, 0, t));
      }
      const at::Tensor leaf = x.detach().requires_grad_(true);
      const at::Tensor d_x =
          torch::autograd::grad({runner.whole(leaf).narrow(1, 0, 20)}, {leaf}, {later.narrow(1, 0, 20)})[0];
      verdict_.equal(where("t=20", dtype), "d_x", d_x.narrow(1, 20, kTokens - 20), at::Tensor());
    }
  }

  // A row alone equals the row in a batch, and whatever is in the rows beside it changes no bit: NaN, but in
  // bf16 large numbers, as LibTorch's own product multiplies what lies behind a row by 0 there.
  void rows() {
    const at::NoGradGuard no_grad;
    const at::Tensor x = judge_.input(3, kTokens);
    const Layer exact = layer(at::kDouble);
    const at::Tensor all = exact.given(x), alone = exact.whole(all.narrow(0, 1, 1));
    verdict_.close(where("alone", at::kDouble), "y", exact.whole(all).narrow(0, 1, 1), alone);
    for (const at::ScalarType dtype : kDtypes) {
      const Layer runner = layer(dtype);
      const at::Tensor padded = runner.given(x).clone();
      const at::Tensor expected = runner.whole(padded).narrow(0, 1, 1).clone();
      for (const std::int64_t row : {0, 2}) padded.select(0, row).fill_(dtype == at::kBFloat16 ? 1e4 : kNaN);
      verdict_.equal(where("padding", dtype), "y", runner.whole(padded).narrow(0, 1, 1), expected);
    }
  }

  // The same bits again, also where fresh memory is NaN.
  void repeat() {
    for (const at::ScalarType dtype : kDtypes) {
      const Layer runner = layer(dtype);
      const at::Tensor x = runner.input(2, kTokens).requires_grad_(true),
                       adjoint = runner.input(2, kTokens, "adjoint");
      const auto run = [&] {
        const at::Tensor y = runner.whole(x);
        return std::pair{y.detach(), torch::autograd::grad({y}, {x}, {adjoint})[0]};
      };
      const auto [y, d_x] = run();
      const auto [y_again, d_x_again] = run();
      verdict_.equal(where("again", dtype), "y", y_again, y);
      verdict_.equal(where("again", dtype), "d_x", d_x_again, d_x);
      const PoisonedMemory poisoned(device_);
      const auto [y_poisoned, d_x_poisoned] = run();
      verdict_.equal(where("poisoned", dtype), "y", y_poisoned, y);
      verdict_.equal(where("poisoned", dtype), "d_x", d_x_poisoned, d_x);
    }
  }

  const LayerChoice& choice_;
  std::uint64_t seed_;
  at::Device device_;
  bool steps_;
  Layer judge_;
  Verdict& verdict_;
  const char* group_ = "";
};

}  // namespace

void check_sequence(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict) {
  Sequence(choice, seed, device, verdict).check();
}

Where layer_where(const LayerChoice& choice, const char* group, const std::string& variant,
                  at::ScalarType dtype) {
  const bool both = !choice.variant.empty() && !variant.empty();
  return {std::string("layer/") + group, choice.variant + (both ? "/" : "") + variant, dtype};
}

double bf16_layer_tolerance(const at::Tensor& rounded, const at::Tensor& exact) {
  // Beside x, the parameters and y, which `rounded` has, a bf16 layer rounds what passes between its
  // operations: about ten times in a row. Independent roundings add as a root of their number, so twice what
  // three of them cost is usual, and the scan's own definition allows twice the usual.
  return 4 * relative_error(rounded.to(at::kBFloat16), exact) + tolerance(at::kFloat);
}

void check_layer(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict) {
  check_sequence(choice, seed, device, verdict);
  check_gradients(choice, seed, device, verdict);
  check_claims(choice, seed, device, verdict);
}

}  // namespace mdnlab::check
