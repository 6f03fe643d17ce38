#include "check/verdict.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>

#include "base/text.h"

namespace mdnlab::check {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string shape_text(const at::Tensor& tensor) {
  if (!tensor.defined()) return "no tensor";
  std::vector<std::string> sizes;
  for (const std::int64_t size : tensor.sizes()) sizes.push_back(std::to_string(size));
  return "(" + join(sizes, ",") + ")";
}

std::string index_text(std::int64_t flat, at::IntArrayRef shape) {
  std::vector<std::string> index(shape.size());
  for (std::size_t i = shape.size(); i-- > 0; flat /= shape[i]) index[i] = std::to_string(flat % shape[i]);
  return "[" + join(index, ",") + "]";
}

double size_of(const at::Tensor& tensor) { return tensor.norm().item<double>(); }

// The entry farthest from its expectation; one that is not finite is farther than any.
void point_at_worst(Case& row, const at::Tensor& found, const at::Tensor& expected) {
  if (found.numel() == 0) return;
  const at::Tensor distance = (found - expected).abs();
  const auto flat =
      at::where(at::isfinite(distance), distance, kInfinity).flatten().argmax().item<std::int64_t>();
  row.worst_index = index_text(flat, found.sizes());
  row.note = "found " + shortest(found.flatten()[flat].item<double>()) + ", expected " +
             shortest(expected.flatten()[flat].item<double>());
}

// True when the two can be compared; both are float64 afterwards, on the CPU.
bool prepare(Case& row, at::Tensor& found, at::Tensor& expected) {
  if (!expected.defined() && found.defined()) expected = at::zeros_like(found);
  if (!found.defined() && expected.defined()) found = at::zeros_like(expected);
  if (!found.defined() || found.sizes() != expected.sizes()) {
    row.error = kInfinity;
    row.note = "found " + shape_text(found) + ", expected " + shape_text(expected);
    return false;
  }
  found = found.detach().cpu().to(at::kDouble);
  expected = expected.detach().cpu().to(at::kDouble);
  return true;
}

}  // namespace

double tolerance(at::ScalarType dtype) { return dtype == at::kDouble ? 1e-12 : 1e-5; }

std::string dtype_word(at::ScalarType dtype) {
  return dtype == at::kDouble ? "f64" : dtype == at::kFloat ? "f32" : dtype == at::kHalf ? "f16" : "bf16";
}

double relative_error(const at::Tensor& found, const at::Tensor& expected) {
  const at::Tensor wide = expected.to(at::kDouble);
  const double error = size_of(found.to(at::kDouble) - wide);
  if (error == 0) return 0;
  const double relative = error / size_of(wide);
  return std::isfinite(relative) ? relative : kInfinity;
}

Case& Verdict::add(const Where& where, const std::string& quantity) {
  const std::string dtype = dtype_word(where.dtype);
  cases_.push_back({.name = where.group + (where.variant.empty() ? "" : "/" + where.variant) + "/" + dtype +
                            "/" + quantity,
                    .group = where.group,
                    .dtype = dtype});
  return cases_.back();
}

std::vector<double> relative_errors(const at::Tensor& found, const at::Tensor& expected,
                                    std::int64_t dimension, std::int64_t draws) {
  const auto norms = [&](const at::Tensor& whole) {  // (draws, indices), on the CPU
    const at::Tensor parts = whole.unflatten(0, {draws, -1}).movedim(dimension + 1, 1);
    return at::linalg_vector_norm(parts.to(at::kDouble).flatten(2), 2, at::IntArrayRef{2}).cpu();
  };
  const at::Tensor sizes = norms(expected), usual = std::get<0>(sizes.median(0));
  const at::Tensor errors = norms(found.to(at::kDouble) - expected.to(at::kDouble));
  const at::Tensor relative = at::where(errors == 0, 0.0, errors / at::maximum(sizes, usual));
  const at::Tensor means = relative.square().mean(0).sqrt();
  std::vector<double> list(means.const_data_ptr<double>(), means.const_data_ptr<double>() + means.numel());
  for (double& error : list) error = std::isfinite(error) ? error : kInfinity;
  return list;
}

void Verdict::close(const Where& where, const std::string& quantity, const at::Tensor& found_as_is,
                    const at::Tensor& expected_as_is, double tolerance) {
  Case& row = add(where, quantity);
  row.tolerance = tolerance;
  at::Tensor found = found_as_is, expected = expected_as_is;
  row.passed = prepare(row, found, expected);
  if (!row.passed) return;
  row.error = relative_error(found, expected);
  row.passed = row.error <= tolerance;
  point_at_worst(row, found, expected);
}

void Verdict::close_each(const Where& where, const std::string& quantity, const at::Tensor& found_as_is,
                         const at::Tensor& expected_as_is, std::int64_t dimension, std::int64_t draws,
                         const std::vector<double>& tolerances) {
  Case& row = add(where, quantity);
  row.tolerance = tolerances.empty() ? 0 : tolerances.front();
  at::Tensor found = found_as_is, expected = expected_as_is;
  row.passed = prepare(row, found, expected);
  if (!row.passed || found.numel() == 0) return;
  const std::vector<double> errors = relative_errors(found, expected, dimension, draws);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const double allowed = i < tolerances.size() ? tolerances[i] : 0;
    if (errors[i] * row.tolerance < row.error * allowed) continue;
    row.error = errors[i];
    row.tolerance = allowed;
  }
  row.passed = row.error <= row.tolerance;
  point_at_worst(row, found, expected);
}

void Verdict::equal(const Where& where, const std::string& quantity, const at::Tensor& found_as_is,
                    const at::Tensor& expected_as_is) {
  Case& row = add(where, quantity);
  at::Tensor found = found_as_is, expected = expected_as_is;
  if (prepare(row, found, expected)) {
    const bool finite = at::isfinite(found).all().item<bool>();
    row.passed = finite && at::equal(found, expected);
    row.error = finite ? relative_error(found, expected) : kInfinity;
    point_at_worst(row, found, expected);
  } else {
    row.passed = false;
  }
}

void Verdict::holds(const Where& where, const std::string& quantity, bool condition,
                    const std::string& otherwise) {
  number(where, quantity, condition ? 0 : kInfinity, 0, condition ? "" : otherwise);
}

void Verdict::number(const Where& where, const std::string& quantity, double error, double tolerance,
                     std::string note) {
  Case& row = add(where, quantity);
  row.error = error;
  row.tolerance = tolerance;
  row.note = std::move(note);
  row.passed = error <= tolerance;
}

void Verdict::attempt(const Where& where, const std::function<void()>& part) {
  try {
    part();
  } catch (const std::exception& error) {
    // LibTorch appends its stack.
    holds(where, "runs", false, split(error.what(), '\n').front());
  }
}

void Verdict::set_place(const std::string& device, const std::string& kernel) {
  for (Case& row : cases_) {
    row.device = device;
    row.kernel = kernel;
  }
}

void Verdict::leave_out(const std::string& reason) {
  if (std::ranges::find(left_out_, reason) == left_out_.end()) left_out_.push_back(reason);
}

void Verdict::append(const Verdict& other, const std::string& variant) {
  for (Case row : other.cases_) {
    if (!variant.empty()) row.name.insert(row.group.size(), "/" + variant);
    cases_.push_back(std::move(row));
  }
  for (const std::string& reason : other.left_out_) leave_out(reason);
}

}  // namespace mdnlab::check
