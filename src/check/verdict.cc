#include "check/verdict.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
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

void Verdict::close(const Where& where, const std::string& quantity, const at::Tensor& found,
                    const at::Tensor& expected, double tolerance) {
  close_each(where, quantity, {{found, expected}}, -1, {tolerance});
}

void Verdict::close_each(const Where& where, const std::string& quantity, std::vector<Comparison> draws,
                         std::int64_t dimension, const std::vector<double>& tolerances) {
  Case& row = add(where, quantity);
  row.tolerance = tolerances.front();
  for (Comparison& draw : draws) {
    row.passed = row.passed && prepare(row, draw.found, draw.expected);
  }
  if (!row.passed) return;
  double worst = -1;
  for (std::size_t i = 0; i < tolerances.size(); ++i) {
    const auto part = [&](const at::Tensor& whole) {
      return dimension < 0 ? whole : whole.select(dimension, static_cast<std::int64_t>(i));
    };
    double squares = 0;
    for (const auto& [found, expected] : draws)
      squares += std::pow(relative_error(part(found), part(expected)), 2);
    const double error = std::sqrt(squares / static_cast<double>(draws.size()));
    if (error / tolerances[i] <= worst) continue;
    worst = error / tolerances[i];
    row.error = error;
    row.tolerance = tolerances[i];
  }
  row.passed = row.error <= row.tolerance;
  point_at_worst(row, draws.front().found, draws.front().expected);
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
