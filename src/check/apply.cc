#include "check/apply.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "check/decode.h"
#include "ops/layer.h"
#include "scan/chunk.h"

namespace mdnlab {

namespace {

bool has_tokens_dtype(std::string_view name) {
  return name == "q" || name == "k" || name == "v" || name == "p" || name == "do";
}

// In the dtypes of the computation.
TensorMap converted(const TensorMap& used, const ApplyOptions& options) {
  const bool is_reference = options.mode == ScanMode::reference;
  const auto dtype =
      is_reference && !options.dtype ? at::kDouble : options.dtype.value_or(used.at("q").scalar_type());
  const auto gate_dtype = dtype == at::kDouble ? at::kDouble : at::kFloat;
  TensorMap result;
  for (const auto& [name, tensor] : used) {
    if (name == "cu_seqlens") {
      result[name] = tensor;
      continue;
    }
    result[name] = tensor.to(options.device, has_tokens_dtype(name) ? dtype : gate_dtype);
    if (is_reference) result[name] = result[name].to(at::kDouble);
  }
  return result;
}

scan::Inputs scan_inputs(const TensorMap& tensors, const RuleRecurrence& recurrence,
                         const ApplyOptions& options) {
  const auto find = [&](const char* name) {
    const auto found = tensors.find(name);
    return found == tensors.end() ? at::Tensor() : found->second;
  };
  scan::Inputs in{.q_BTGK = find("q"),
                  .k_BTGK = find("k"),
                  .v_BTHV = find("v"),
                  .log_alpha = find("log_alpha"),
                  .log_mu = find("log_mu"),
                  .beta_BTH = find("beta"),
                  .eta_BTH = find("eta"),
                  .has_delta = recurrence.delta,
                  .p_BTHK = find("p"),
                  .look_ahead = recurrence.look_ahead,
                  .initial_S_NHKV = find("initial_S"),
                  .initial_M_NHKV = find("initial_M"),
                  .cu_seqlens = find("cu_seqlens")};
  if (in.q_BTGK.dim() != 4 || in.v_BTHV.dim() != 4) scan::validate(in);  // which names it
  const std::int64_t B = in.v_BTHV.size(0), T = in.v_BTHV.size(1), H = in.v_BTHV.size(2),
                     K = in.q_BTGK.size(3);
  const auto gates =
      in.v_BTHV.options().dtype(in.v_BTHV.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  if (recurrence.momentum && !in.log_mu.defined())
    in.log_mu = at::full({B, T, H}, -std::numeric_limits<double>::infinity(), gates);
  if (recurrence.decay == "channel" && !in.log_alpha.defined()) in.log_alpha = at::zeros({B, T, H, K}, gates);
  scan::validate(in);
  if (options.normalize) {
    in.q_BTGK = ops::l2_norm(in.q_BTGK);
    in.k_BTGK = ops::l2_norm(in.k_BTGK);
  }
  if (options.scale) in.q_BTGK = in.q_BTGK / std::sqrt(static_cast<double>(K));
  return in;
}

scan::Outputs run(const scan::Inputs& in, const ApplyOptions& options) {
  switch (options.mode) {
    case ScanMode::reference: return scan::reference(in);
    case ScanMode::chunk: return scan::chunk(in, {.want_state = true, .implementation = options.kernel});
    case ScanMode::step: return decode(in, options.kernel);
  }
  return {};
}

// Of a tensor that a gradient flows from, named `name` in `tensors`.
void check_adjoint(const TensorMap& tensors, const char* name, const at::Tensor& output) {
  const auto found = tensors.find(name);
  if (found == tensors.end() || found->second.sizes() == output.sizes()) return;
  throw Error(Code::usage, {.what = std::string("tensor '") + name + "' has the wrong shape",
                            .found = sizes_text(found->second.sizes()),
                            .expected = sizes_text(output.sizes())});
}

void add_gradients(const TensorMap& tensors, const scan::Outputs& out, TensorMap& results) {
  std::vector<at::Tensor> outputs, adjoints, variables;
  std::vector<std::string> names;
  const std::pair<const char*, const at::Tensor&> pairs[] = {
      {"do", out.o_BTHV}, {"d_final_S", out.final_S_NHKV}, {"d_final_M", out.final_M_NHKV}};
  for (const auto& [name, output] : pairs) {
    if (!output.defined()) continue;
    check_adjoint(tensors, name, output);
    if (!tensors.count(name) || !output.requires_grad()) continue;
    outputs.push_back(output);
    adjoints.push_back(tensors.at(name));
  }
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.requires_grad()) continue;
    names.push_back(name);
    variables.push_back(tensor);
  }
  std::vector<at::Tensor> gradients(variables.size());
  if (!outputs.empty())
    gradients =
        torch::autograd::grad(outputs, variables, adjoints, std::nullopt, false, /*allow_unused=*/true);
  for (std::size_t i = 0; i < names.size(); ++i)
    results["d" + names[i]] = gradients[i].defined() ? gradients[i] : at::zeros_like(variables[i]);
}

}  // namespace

TensorMap apply(const RuleRecurrence& recurrence, const TensorMap& given, const ApplyOptions& options) {
  const TensorMap used = used_tensors(recurrence, given);
  const bool wants_gradients = used.count("do") > 0;
  if (wants_gradients && options.mode == ScanMode::step) {
    throw Error(Code::usage, {.what = "mode step decodes and computes no gradients",
                              .found = "tensor 'do'",
                              .expected = "--mode chunk or reference, or no 'do'"});
  }
  if (options.mode == ScanMode::reference && !options.kernel.empty()) {
    throw Error(Code::usage, {.what = "mode reference has one form and no kernels",
                              .found = "--kernel " + options.kernel,
                              .expected = "--mode chunk or step, or no --kernel"});
  }
  TensorMap tensors = converted(used, options);
  if (wants_gradients) {
    for (auto& [name, tensor] : tensors) {
      if (name != "do" && name != "cu_seqlens" && !name.starts_with("d_"))
        tensor = tensor.detach().set_requires_grad(true);
    }
  }
  const scan::Outputs out = run(scan_inputs(tensors, recurrence, options), options);
  TensorMap results{{"o", out.o_BTHV.detach()}, {"final_S", out.final_S_NHKV.detach()}};
  if (out.final_M_NHKV.defined()) results["final_M"] = out.final_M_NHKV.detach();
  if (wants_gradients) add_gradients(tensors, out, results);
  for (auto& [name, tensor] : results) tensor = tensor.cpu();
  return results;
}

}  // namespace mdnlab
