#include "scan/cuda/segments.h"

#include <ATen/Context.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

namespace mdnlab::scan {

namespace {

struct Sizes {
  bool has_delta;
  std::int64_t Z, N, H, K, V;
};

Sizes sizes_of(const SegmentScan& scan, const at::Tensor& state_ZNHKV) {
  return {scan.has_delta(),    state_ZNHKV.size(0), state_ZNHKV.size(1),
          state_ZNHKV.size(2), state_ZNHKV.size(3), state_ZNHKV.size(4)};
}

at::Tensor zero_states(const Sizes& of, std::int64_t segments, std::int64_t width, const at::Tensor& like) {
  return at::zeros({of.Z, segments, of.N, of.H, of.K, width}, like.options());
}

// V columns of 0, then the identity.
at::Tensor probes(const Sizes& of, std::int64_t segments, const at::Tensor& like) {
  const at::Tensor states = zero_states(of, segments, of.V + map_width(of.has_delta, of.Z, of.K), like);
  for (std::int64_t z = 0; z < of.Z; ++z) {
    const at::Tensor half = states.select(0, z);
    if (of.has_delta) {
      half.narrow(-1, of.V + z * of.K, of.K).diagonal(0, -2, -1).fill_(1);
    } else {
      half.select(-2, 0).select(-1, of.V + z).fill_(1);
    }
  }
  return states;
}

// [Z,s,N,H,K,W] as what P multiplies: [s,N·H,Z·K,W], without delta [s,N·H,Z,K·W]. And back.
at::Tensor as_factors(const Sizes& of, const at::Tensor& states) {
  const std::int64_t W = states.size(5);
  return states.permute({1, 2, 3, 0, 4, 5})
      .reshape({states.size(1), of.N * of.H, of.has_delta ? of.Z * of.K : of.Z, of.has_delta ? W : of.K * W});
}
at::Tensor as_states(const Sizes& of, const at::Tensor& factors) {
  return factors.view({factors.size(0), of.N, of.H, of.Z, of.K, of.V})
      .permute({3, 0, 1, 2, 4, 5})
      .contiguous();
}

// P of every segment, from what the probes have become.
at::Tensor maps_of(const Sizes& of, const at::Tensor& ends) {
  if (of.has_delta) return as_factors(of, ends.narrow(-1, of.V, of.Z * of.K));
  return ends.select(-2, 0)
      .narrow(-1, of.V, of.Z)
      .permute({1, 2, 3, 0, 4})
      .reshape({ends.size(1), of.N * of.H, of.Z, of.Z});
}

// X_0 = first, X_{s+1} = P_s X_s + R_s, all of them: one more than there are maps.
at::Tensor carry(const Sizes& of, const at::Tensor& maps, const at::Tensor& own, const at::Tensor& first) {
  const at::NoTF32Guard exact_products;
  const at::Tensor R = as_factors(of, own);
  const at::Tensor X = at::empty({R.size(0) + 1, R.size(1), R.size(2), R.size(3)}, R.options());
  X.narrow(0, 0, 1).copy_(as_factors(of, first));
  for (std::int64_t s = 0; s < R.size(0); ++s) {
    at::Tensor next = X.select(0, s + 1);
    at::baddbmm_out(next, R.select(0, s), maps.select(0, s), X.select(0, s));
  }
  return as_states(of, X);
}

}  // namespace

std::int64_t map_width(bool has_delta, std::int64_t Z, std::int64_t K) {
  constexpr std::int64_t tile = 64;
  return ((has_delta ? Z * K : Z) + tile - 1) / tile * tile;
}

at::Tensor split_outputs(SegmentScan& scan, const at::Tensor& initial, int segments) {
  const Sizes of = sizes_of(scan, initial);
  const int last = segments - 1;
  const at::Tensor first = initial.unsqueeze(1).clone();
  if (segments == 2) {  // without a map: the second starts when the first one's end is known
    const at::Tensor second = first.clone();
    const auto end_and_second = [&] {
      scan.ends({0, 1}, second);
      scan.outputs({1, 2}, second);
    };
    scan.side_by_side({[&] { scan.outputs({0, 1}, first); }, end_and_second});
    return second.select(1, 0);
  }
  const at::Tensor middle = probes(of, last - 1, initial);
  scan.side_by_side({[&] { scan.ends({0, 1}, first); }, [&] { scan.ends({1, last}, middle); }});
  const at::Tensor later = carry(of, maps_of(of, middle), middle.narrow(-1, 0, of.V), first);
  const at::Tensor states = at::cat({initial.unsqueeze(1), later}, 1);
  scan.outputs({0, segments}, states);
  return states.select(1, last);
}

at::Tensor split_adjoints(SegmentScan& scan, const at::Tensor& initial, const at::Tensor& d_final,
                          int segments) {
  const Sizes of = sizes_of(scan, initial);
  const int last = segments - 1;
  const at::Tensor first = initial.unsqueeze(1).clone(), d_last = d_final.unsqueeze(1).clone(),
                   middle = probes(of, last - 1, initial),
                   d_middle = zero_states(of, last - 1, of.V, initial);
  scan.side_by_side({[&] {
                       scan.reverse({last, segments}, d_last);
                     },
                     [&] {
                       scan.states({0, 1}, first);
                     },
                     [&] {
                       scan.ends({1, last}, middle);
                     },
                     [&] {
                       scan.reverse({1, last}, d_middle);
                     }});
  const at::Tensor maps = maps_of(of, middle);
  const at::Tensor starts = carry(of, maps, middle.narrow(-1, 0, of.V), first);
  const at::Tensor d_ends = carry(of, maps.flip(0).transpose(-2, -1), d_middle.flip(1), d_last).flip(1);
  scan.side_by_side({[&] { scan.reverse({0, last}, d_ends); }, [&] { scan.states({1, segments}, starts); }});
  return d_ends.select(1, 0);
}

}  // namespace mdnlab::scan
