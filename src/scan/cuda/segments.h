// A scan over documents cut into segments, each of which runs by itself. A segment's own writes leave R in
// the state, and its map is affine (recurrences.md, section 2); backward E is what its outputs alone leave:
//
//     X_{s+1} = P_s X_s + R_s        dX_s = P_sᵀ dX_{s+1} + E_s
//
// With delta P is a matrix of the stacked state's rows (Z·K × Z·K, Z = 2 with momentum, else 1); without, K
// equal ones of Z × Z, as all keys have one decay. (Where they have not, the scan is taken for one with
// delta.) A scan finds it like R, in further value columns, the probes, whose v is 0 and whose initial state
// is the identity. Exact but for rounding, whatever the gates.
//
// States are [Z,s,N,H,K,W]: S then M, segments, documents, heads, keys, columns; float32 (float64 with
// inputs of that dtype).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace mdnlab::scan {

// Segments first … last − 1 of all documents; none where first = last.
struct Segments {
  int first, last;
};

// What a scan does with segments, all of them at once, with the states at their starts (backward: the
// adjoints at their ends) as given. These become, in place, those at the other end.
class SegmentScan {
 public:
  virtual ~SegmentScan() = default;
  virtual bool has_delta() const = 0;

  virtual void outputs(Segments segments, const at::Tensor& states) = 0;
  // The states alone, W at will: columns from V on are probes, V wide or more.
  virtual void ends(Segments segments, const at::Tensor& states) = 0;
  // As both passes of backward want them: what the adjoints of the inputs are made of, kept.
  virtual void states(Segments segments, const at::Tensor& states) = 0;
  virtual void reverse(Segments segments, const at::Tensor& d_states) = 0;

  // Runs work that is independent of each other.
  virtual void side_by_side(const std::vector<std::function<void()>>& work) = 0;
};

// Columns of the probes, a multiple of 64. Those beyond P's own are 0.
std::int64_t map_width(bool has_delta, std::int64_t Z, std::int64_t K);

// Outputs of all documents from their initial states, [Z,N,H,K,V]. Returns the final ones.
at::Tensor split_outputs(SegmentScan& scan, const at::Tensor& initial, int segments);

// Backward: states() and reverse() of every segment, with the right states and adjoints. Returns the adjoints
// of the initial states from those of the final ones.
at::Tensor split_adjoints(SegmentScan& scan, const at::Tensor& initial, const at::Tensor& d_final,
                          int segments);

}  // namespace mdnlab::scan
