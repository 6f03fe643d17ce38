// What a conformance check found: one row a case, and the comparisons that make rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

namespace mdnlab::check {

struct Case {
  std::string name;   // group, variant, dtype and quantity: "recurrence/length/T=33/f32/d_log_alpha"
  std::string group;  // "recurrence/length"
  std::string device = "cpu";
  std::string kernel = {};  // of scan/implementation.h, where one was named
  std::string dtype;        // f64, f32, bf16, f16
  double error = 0;      // ‖found − expected‖ / ‖expected‖; infinity where nothing can be compared
  double tolerance = 0;  // 0: equal bit for bit
  std::string worst_index;  // of the tensor, "[0,12,1]"; empty where there is no tensor
  std::string note;         // the two values there, or what does not hold
  bool passed = true;
};

// Where a comparison belongs; a variant may be empty.
struct Where {
  std::string group, variant;
  at::ScalarType dtype;
};

double tolerance(at::ScalarType dtype);  // of a whole tensor: 1e-5 in float32, 1e-12 in float64
std::string dtype_word(at::ScalarType dtype);

class Verdict {
 public:
  // Relative norm of the difference in float64. Another shape, a missing tensor, an entry that is not finite
  // and expected to be: infinity. An undefined expectation is zero (a gradient that does not exist).
  void close(const Where& where, const std::string& quantity, const at::Tensor& found,
             const at::Tensor& expected, double tolerance);
  void close(const Where& where, const std::string& quantity, const at::Tensor& found,
             const at::Tensor& expected) {
    close(where, quantity, found, expected, check::tolerance(where.dtype));
  }
  // The same along one dimension (heads), as relative_errors, each index with a tolerance of its own; the
  // worst is the row.
  void close_each(const Where& where, const std::string& quantity, const at::Tensor& found,
                  const at::Tensor& expected, std::int64_t dimension, std::int64_t draws,
                  const std::vector<double>& tolerances);
  // Bit for bit, and finite.
  void equal(const Where& where, const std::string& quantity, const at::Tensor& found,
             const at::Tensor& expected);
  void holds(const Where& where, const std::string& quantity, bool condition, const std::string& otherwise);
  void number(const Where& where, const std::string& quantity, double error, double tolerance,
              std::string note);

  // Runs a part of the suite; what it throws becomes a failed case named "runs".
  void attempt(const Where& where, const std::function<void()>& part);

  // Where all cases so far ran.
  void set_place(const std::string& device, const std::string& kernel);
  // Says once what a kernel does not take.
  void leave_out(const std::string& reason);

  const std::vector<Case>& cases() const { return cases_; }
  const std::vector<std::string>& left_out() const { return left_out_; }
  // What was found before, under a variant (empty: as it is).
  void append(const Verdict& other, const std::string& variant);

 private:
  Case& add(const Where& where, const std::string& quantity);

  std::vector<Case> cases_;
  std::vector<std::string> left_out_;
};

// ‖found − expected‖ / ‖expected‖ in float64; 0 when both are zero; infinity when it is no number.
double relative_error(const at::Tensor& found, const at::Tensor& expected);

// The same for each index along a dimension, as the root mean square over draws, which lie one after the
// other along dimension 0. Where ‖expected‖ of a draw is below the draws' median, that is what its error
// divides by: a tensor that hangs on one number has draws that cancel, and one such would outweigh the rest.
std::vector<double> relative_errors(const at::Tensor& found, const at::Tensor& expected,
                                    std::int64_t dimension, std::int64_t draws);

}  // namespace mdnlab::check
