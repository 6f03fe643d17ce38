// What must hold between one call and another, whatever the numbers.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include <limits>
#include <tuple>

#include "check/poisoned_memory.h"
#include "check/recurrence.h"
#include "check/recurrence_inputs.h"
#include "scan/inputs.h"

namespace mdnlab::check {

namespace {

constexpr std::int64_t kChunk = 16;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

class Structure {
 public:
  Structure(const Recurrence& recurrence, const Kernel& kernel, std::uint64_t seed, at::ScalarType dtype,
            Verdict& verdict)
      : recurrence_(recurrence), kernel_(kernel), seed_(seed), dtype_(dtype), verdict_(verdict) {}

  void check() {
    const auto part = [&](const char* group, void (Structure::*body)()) {
      group_ = group;
      verdict_.attempt(where(""), [&] { (this->*body)(); });
    };
    if (takes(kernel_.refusal_of_chunk)) {
      part("recurrence/split", &Structure::split);
      part("recurrence/documents", &Structure::documents);
      part("recurrence/causality", &Structure::causality);
      part("recurrence/padding", &Structure::padding);
      part("recurrence/repeat", &Structure::repeat);
      part("recurrence/memory", &Structure::memory);
    }
    if (takes(kernel_.refusal_of_step)) part("recurrence/step", &Structure::step);
  }

 private:
  at::ScalarType wide() const {
    return dtype_ == at::kDouble ? at::kDouble : at::kFloat;
  }  // of gates and states
  Where where(std::string variant) const { return {group_, std::move(variant), dtype_}; }

  // Whether the part under way has a kernel, which widens its inputs' K and V.
  bool takes(const Kernel::Refusal& refusal) {
    const InputSettings usual;
    const auto settings = fitted(refusal, recurrence_, usual, dtype_, verdict_);
    widens_ = settings && (settings->K != usual.K || settings->V != usual.V);
    if (widens_) widths_ = {settings->K, settings->V};
    return settings.has_value();
  }

  InputSettings fitted_to(InputSettings settings) const {
    settings.look_ahead = 0.3;
    if (widens_) std::tie(settings.K, settings.V) = widths_;
    return settings;
  }
  scan::Inputs inputs(const InputSettings& settings = {}) const {
    return as(make_inputs(recurrence_, fitted_to(settings), seed_, kernel_.device), dtype_);
  }

  scan::Outputs chunk(const scan::Inputs& in) const {
    return kernel_.chunk(in, {.chunk_size = kChunk, .want_state = true});
  }
  std::vector<Named> results(const scan::Inputs& in) const { return check::results(whole_, in, seed_); }

  // Two ways give the same. In bf16 and f16 each may be off by as much as the recurrence level allows.
  void agree(const char* variant, const InputSettings& settings, const Scan& one, const Scan& other) {
    const bool is_low = is_low_precision(dtype_);
    const scan::Inputs exact_inputs = make_inputs(
        recurrence_, fitted_to(is_low ? repeated(settings, kDraws) : settings), seed_, kernel_.device);
    const std::vector<Named> found = check::results(one, as(exact_inputs, dtype_), seed_),
                             expected = check::results(other, as(exact_inputs, dtype_), seed_);
    if (!is_low) {
      for (std::size_t i = 0; i < expected.size(); ++i)
        verdict_.close(where(variant), expected[i].name, found[i].tensor, expected[i].tensor);
      return;
    }
    auto tolerances = low_precision_tolerances(
        exact_inputs, check::results(scan::reference, exact_inputs, seed_), seed_, dtype_);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      for (double& tolerance : tolerances[i]) tolerance *= 2;
      verdict_.close_each(where(variant), expected[i].name, found[i].tensor, expected[i].tensor,
                          expected[i].head_dimension, kDraws, tolerances[i]);
    }
  }
  void all_equal(const char* variant, const std::vector<Named>& found, const std::vector<Named>& expected) {
    for (std::size_t i = 0; i < expected.size(); ++i)
      verdict_.equal(where(variant), expected[i].name, found[i].tensor, expected[i].tensor);
  }

  // Two calls, the state carried, gradients through it too.
  void split() {
    const Scan halves = [this](const scan::Inputs& whole) {
      const scan::Outputs first = chunk(tokens(whole, 0, 20));
      scan::Inputs rest = tokens(whole, 20, whole.q_BTGK.size(1));
      rest.initial_S_NHKV = first.final_S_NHKV;
      rest.initial_M_NHKV = first.final_M_NHKV;
      scan::Outputs second = chunk(rest);
      second.o_BTHV = at::cat({first.o_BTHV, second.o_BTHV}, 1);
      return second;
    };
    agree("", {}, halves, whole_);
  }

  // Packed in one row and each by itself.
  void documents() {
    const Scan separately = [this](const scan::Inputs& packed) {
      const std::vector<std::int32_t> starts(
          packed.cu_seqlens.const_data_ptr<std::int32_t>(),
          packed.cu_seqlens.const_data_ptr<std::int32_t>() + packed.cu_seqlens.numel());
      std::vector<at::Tensor> o, S, M;
      for (std::size_t n = 0; n + 1 < starts.size(); ++n) {
        scan::Inputs alone = packed;
        alone.cu_seqlens = at::Tensor();
        for (std::size_t i = 0; i < scan::kTensors; ++i) {
          at::Tensor& tensor = *scan::tensors(alone)[i];
          if (!tensor.defined()) continue;
          const auto document = static_cast<std::int64_t>(n);
          tensor = is_state(i) ? tensor.slice(0, document, document + 1)
                               : tensor.flatten(0, 1).slice(0, starts[n], starts[n + 1]).unsqueeze(0);
        }
        const scan::Outputs out = chunk(alone);
        o.push_back(out.o_BTHV);
        S.push_back(out.final_S_NHKV);
        if (out.final_M_NHKV.defined()) M.push_back(out.final_M_NHKV);
      }
      return scan::Outputs{at::cat(o, 1).view(packed.v_BTHV.sizes()), at::cat(S),
                           M.empty() ? at::Tensor() : at::cat(M)};
    };
    agree("separate", {.cu_seqlens = {0, 1, 16, 33, 47, 47 + 5, 94}}, whole_, separately);
  }

  // Whatever comes later, and be it NaN, leaves every earlier bit.
  void causality() {
    const at::NoGradGuard no_grad;
    const scan::Inputs in = inputs();
    const at::Tensor before = chunk(in).o_BTHV;
    for (const std::int64_t cut : {1, 15, 16, 17, 40}) {
      for (const double later : {-0.5, kNaN}) {
        scan::Inputs other = in;
        for (std::size_t i = 0; i < scan::kTensors; ++i) {
          at::Tensor& tensor = *scan::tensors(other)[i];
          if (!tensor.defined() || is_state(i)) continue;
          tensor = tensor.clone();
          tensor.slice(1, cut).fill_(later);
        }
        verdict_.equal(where("t=" + std::to_string(cut) + (later == later ? "" : ",NaN")), "o",
                       chunk(other).o_BTHV.slice(1, 0, cut), before.slice(1, 0, cut));
      }
    }
  }

  // Token by token as in decoding, against the float64 recurrence.
  void step() {
    const at::NoGradGuard no_grad;
    const scan::Inputs in = inputs();
    const scan::Outputs expected = scan::reference(as(in, at::kDouble));
    scan::Inputs token = in;
    std::vector<at::Tensor> o;
    for (std::int64_t t = 0; t < in.q_BTGK.size(1); ++t) {
      scan::Inputs next = tokens(in, t, t + 1);
      next.initial_S_NHKV = token.initial_S_NHKV;
      next.initial_M_NHKV = token.initial_M_NHKV;
      const scan::Outputs out = kernel_.step(next);
      o.push_back(out.o_BTHV);
      token.initial_S_NHKV = out.final_S_NHKV;
      token.initial_M_NHKV = out.final_M_NHKV;
    }
    const at::Tensor best = expected.o_BTHV.to(dtype_);
    verdict_.close(where(""), "o", at::cat(o, 1), expected.o_BTHV,
                   2 * relative_error(best, expected.o_BTHV) + tolerance(wide()));
    verdict_.close(where(""), "S", token.initial_S_NHKV, expected.final_S_NHKV, tolerance(wide()));
    if (recurrence_.momentum)
      verdict_.close(where(""), "M", token.initial_M_NHKV, expected.final_M_NHKV, tolerance(wide()));
  }

  // NaN in all that belongs to another row of the batch, another head, another document.
  void padding() {
    const scan::Inputs in = inputs({.B = 3, .state = false});
    const std::vector<Named> clean = results(in);
    for (const auto& [variant, dimension] : {std::pair{"row", 0}, {"head", 2}}) {
      const auto padded = [&, dimension = dimension](const at::Tensor& tensor) {
        at::Tensor copy = tensor.clone();
        copy.select(dimension, 0).fill_(kNaN);
        return copy;
      };
      scan::Inputs other = in;
      for (at::Tensor* tensor : scan::tensors(other)) {
        if (tensor->defined()) *tensor = padded(*tensor);
      }
      const std::vector<Named> found = results(other);
      for (std::size_t i = 0; i < clean.size(); ++i) {
        const bool is_output_state = clean[i].head_dimension == 1;
        const int along = dimension == 0 ? 0 : is_output_state ? 1 : 2;
        verdict_.equal(where(variant), clean[i].name,
                       found[i].tensor.narrow(along, 1, found[i].tensor.size(along) - 1),
                       clean[i].tensor.narrow(along, 1, clean[i].tensor.size(along) - 1));
      }
    }
    document_padding();
  }

  // The last tokens of a row are a document of padding.
  void document_padding() {
    constexpr std::int64_t kTokens = 41, kPadded = 47;
    const scan::Inputs in = inputs({.B = 1, .state = false, .cu_seqlens = {0, 11, kTokens, kPadded}});
    const std::vector<Named> clean = results(in);
    scan::Inputs other = in;
    for (at::Tensor* tensor : scan::tensors(other)) {
      if (!tensor->defined()) continue;
      *tensor = tensor->clone();
      tensor->slice(1, kTokens).fill_(kNaN);
    }
    const std::vector<Named> found = results(other);
    for (std::size_t i = 0; i < clean.size(); ++i) {
      const bool is_output_state = clean[i].head_dimension == 1;
      const auto own = [&](const at::Tensor& t) {
        return is_output_state ? t.slice(0, 0, 2) : t.slice(1, 0, kTokens);
      };
      verdict_.equal(where("document"), clean[i].name, own(found[i].tensor), own(clean[i].tensor));
    }
  }

  // The same bits again, and on any number of threads.
  void repeat() {
    const scan::Inputs in = inputs({.B = 3, .T = 150, .K = 32, .V = 32});  // enough work for several threads
    const std::vector<Named> once = results(in);
    all_equal("again", results(in), once);
    const int threads = at::get_num_threads();
    at::set_num_threads(4);
    const std::vector<Named> parallel = results(in);
    at::set_num_threads(threads);
    all_equal("threads=4", parallel, once);
  }

  void memory() {
    const scan::Inputs in = inputs({.K = 13, .V = 9});
    const std::vector<Named> clean = results(in);
    const PoisonedMemory poisoned(kernel_.device);
    all_equal("poisoned", results(in), clean);
  }

  Recurrence recurrence_;
  const Kernel& kernel_;
  std::uint64_t seed_;
  at::ScalarType dtype_;
  Verdict& verdict_;
  const Scan whole_ = [this](const scan::Inputs& in) { return chunk(in); };
  const char* group_ = "";
  bool widens_ = false;
  std::pair<std::int64_t, std::int64_t> widths_;
};

}  // namespace

void check_structure(const Recurrence& recurrence, const Kernel& kernel, std::uint64_t seed,
                     Verdict& verdict) {
  for (const at::ScalarType dtype : kernel.dtypes)
    Structure(recurrence, kernel, seed, dtype, verdict).check();
}

}  // namespace mdnlab::check
