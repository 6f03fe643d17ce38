#include "interop/fit_tensors.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace mdnlab {

namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::vector<std::string> words;
  for (const std::int64_t size : shape) words.push_back(std::to_string(size));
  return "(" + join(words, ", ") + ")";
}

// Empty: the tensor is what is expected.
std::string fault_of(const at::Tensor& tensor, const ParameterSpec& expected) {
  if (tensor.sizes() != at::IntArrayRef(expected.shape)) {
    return fmt::format("has shape {}, not {}", shape_text(tensor.sizes()), shape_text(expected.shape));
  }
  if (!tensor.is_floating_point())
    return fmt::format("is {}, no floating type", c10::toString(tensor.scalar_type()));
  if (!at::isfinite(tensor).all().item<bool>()) return "has a value that is not finite";
  return {};
}

}  // namespace

TensorMap fit_tensors(TensorMap found, std::span<const ParameterSpec> expected,
                      const std::function<std::string(const std::string&)>& there, const std::string& file) {
  constexpr std::size_t most = 10;
  std::vector<std::string> faults;
  TensorMap fitting;
  for (const ParameterSpec& parameter : expected) {
    const std::string name = there(parameter.name);
    const auto tensor = found.extract(name);
    const std::string fault = tensor.empty() ? "is missing" : fault_of(tensor.mapped(), parameter);
    if (!fault.empty()) {
      faults.push_back(quote(name) + " " + fault);
      continue;
    }
    const bool is_wide = tensor.mapped().scalar_type() == at::kDouble;
    fitting[parameter.name] = is_wide ? tensor.mapped() : tensor.mapped().to(at::kFloat);
  }
  for (const auto& [name, tensor] : found) faults.push_back(quote(name) + " is superfluous");
  if (faults.empty()) return fitting;

  std::string more;
  if (faults.size() > most) {
    more = fmt::format("; and {} more", faults.size() - most);
    faults.resize(most);
  }
  throw Error(Code::usage, {.place = {.file = file},
                            .what = "the tensors do not fit config.json: " + join(faults, "; ") + more});
}

void undo_drift(TensorMap& found, std::span<const ParameterSpec> expected,
                const std::function<std::string(const std::string&)>& there) {
  for (const ParameterSpec& parameter : expected) {
    const bool is_rate = parameter.name.ends_with(".A_log"), is_bias = parameter.name.ends_with(".dt_bias");
    const auto entry = found.find(there(parameter.name));
    if ((!is_rate && !is_bias) || entry == found.end()) continue;
    at::Tensor& tensor = entry->second;
    const std::int64_t count = parameter.count(), stored = tensor.numel();
    if (stored == count) {
      tensor = tensor.reshape(parameter.shape);
    } else if (is_bias && stored > 0 && count % stored == 0) {
      tensor = tensor.reshape({stored}).repeat_interleave(count / stored);
    } else if (is_rate && stored % count == 0 && stored > 0) {
      const at::Tensor heads = tensor.reshape({count, stored / count});
      if ((heads == heads.narrow(1, 0, 1)).all().item<bool>()) tensor = heads.select(1, 0).contiguous();
    }
  }
}

}  // namespace mdnlab
