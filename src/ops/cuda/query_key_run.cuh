// What one thread does of q and k on their way from the projections to the scan: four channels of both, of a
// run of tokens; `width`/4 neighbouring threads have a head between them. With s the convolutions' sums,
//
//     q' = silu(s_q) − d·silu(s_k) ,  y_q = K^−½ · q'/|q'| ,  y_k = k'/|k'| ,  k' = silu(s_k) ,
//     |x|² = Σx² + 1e-6 over the head
#pragma once

#include "ops/cuda/convolution_run.cuh"

namespace mdnlab::ops::cuda {

inline constexpr float kL2Epsilon = 1e-6F;

template <int W, class T, class Machine>
struct QueryKeyRun {
  const QueryKey& in;
  std::int64_t run;
  ConvolutionWindow<W, T, Machine> q, k;
  typename Machine::Group head;
  float correction = 0, scale;

  MDNLAB_DEVICE QueryKeyRun(const QueryKey& problem, std::int64_t run_index, std::int64_t channel)
      : in(problem),
        run(run_index),
        q(problem.q, run_index, channel),
        k(problem.k, run_index, channel),
        head(problem.width / kChannels),
        scale(Machine::rsqrt(static_cast<float>(problem.width))) {
    if (in.correction_G) correction = in.correction_G[channel / in.width];
  }

  MDNLAB_DEVICE void forward() {
    for (std::int64_t t = q.first; t < q.end; ++t) {
      const int reach = q.reach(t);
      Quad y_q = q.next_sum(t, reach), y_k = k.next_sum(t, reach);
      float squares[2] = {0, 0};
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        y_k.value[c] = silu<Machine>(y_k.value[c]).value;
        y_q.value[c] = silu<Machine>(y_q.value[c]).value - correction * y_k.value[c];
        squares[0] += y_q.value[c] * y_q.value[c];
        squares[1] += y_k.value[c] * y_k.value[c];
      }
      head.sum(squares);
      const float r_q = scale * Machine::rsqrt(squares[0] + kL2Epsilon),
                  r_k = Machine::rsqrt(squares[1] + kL2Epsilon);
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        y_q.value[c] *= r_q;
        y_k.value[c] *= r_k;
      }
      q.store_y(t, y_q);
      k.store_y(t, y_k);
    }
  }

  // With r = 1/|x|:  dx = r·dy − r³⟨x,dy⟩·x, and for q all times K^−½;  dk' −= d·dq',  dd = −Σ dq'·k'
  MDNLAB_DEVICE void backward() {
    ConvolutionAdjoint<W, T, Machine> adjoint_q(q), adjoint_k(k);
    Quad dcorrection{};
    for (std::int64_t t = q.first; t < q.end + W - 1; ++t) {
      Quad ds_q{}, ds_k{};
      int reach = 0;
      if (t < in.q.T) {
        reach = q.reach(t);
        const Quad dy_q = adjoint_q.next_dy(t), dy_k = adjoint_k.next_dy(t), s_q = q.next_sum(t, reach),
                   s_k = k.next_sum(t, reach);
        Quad x_q, x_k;
        float sums[4] = {0, 0, 0, 0};  // |q'|², ⟨q',dy⟩; |k'|², ⟨k',dy⟩
#pragma unroll
        for (int c = 0; c < kChannels; ++c) {
          const Activation of_q = silu<Machine>(s_q.value[c]), of_k = silu<Machine>(s_k.value[c]);
          ds_q.value[c] = of_q.slope;
          ds_k.value[c] = of_k.slope;
          x_k.value[c] = of_k.value;
          x_q.value[c] = of_q.value - correction * of_k.value;
          sums[0] += x_q.value[c] * x_q.value[c];
          sums[1] += x_q.value[c] * dy_q.value[c];
          sums[2] += x_k.value[c] * x_k.value[c];
          sums[3] += x_k.value[c] * dy_k.value[c];
        }
        head.sum(sums);
        const float r_q = Machine::rsqrt(sums[0] + kL2Epsilon), r_k = Machine::rsqrt(sums[2] + kL2Epsilon);
        const float along_q = r_q * r_q * sums[1], along_k = r_k * r_k * sums[3];
#pragma unroll
        for (int c = 0; c < kChannels; ++c) {
          const float dx_q = scale * r_q * (dy_q.value[c] - along_q * x_q.value[c]);
          const float dx_k = r_k * (dy_k.value[c] - along_k * x_k.value[c]) - correction * dx_q;
          ds_q.value[c] *= dx_q;
          ds_k.value[c] *= dx_k;
          dcorrection.value[c] -= t < q.end ? dx_q * x_k.value[c] : 0;
        }
      }
      adjoint_q.take(t, reach, ds_q);
      adjoint_k.take(t, reach, ds_k);
    }
    adjoint_q.finish(run);
    adjoint_k.finish(run);
    if (in.correction_G) Machine::store(in.dcorrection_RC + run * in.q.C + q.channel, dcorrection);
  }
};

}  // namespace mdnlab::ops::cuda
