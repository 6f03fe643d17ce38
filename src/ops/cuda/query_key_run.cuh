// What one thread does of q and k on their way from the projections to the scan: four channels of both, of a
// run of tokens; kWidth/4 neighbouring threads have a head between them. With s the convolutions' sums,
//
//     q' = silu(s_q) − d·silu(s_k) ,  y_q = K^−½ · q'/|q'| ,  y_k = k'/|k'| ,  k' = silu(s_k) ,
//     |x|² = Σx² + 1e-6 over the head
//
// Two tokens go side by side: the threads' sums of one are under way while the other's are.
#pragma once

#include "ops/cuda/convolution_run.cuh"

namespace mdnlab::ops::cuda {

inline constexpr float kL2Epsilon = 1e-6F;
inline constexpr int kPair = 2;

template <int kWidth, bool kDocuments, class T, class Machine>
struct QueryKeyRun {
  const QueryKey& in;
  std::int64_t run;
  ConvolutionRun<kDocuments, T, Machine> q, k;
  typename Machine::template Head<kWidth / kChannels> head;
  float correction, scale;

  MDNLAB_DEVICE QueryKeyRun(const QueryKey& problem, std::int64_t run_index, std::int64_t channel)
      : in(problem),
        run(run_index),
        q(problem.q, run_index, channel),
        k(problem.k, run_index, channel),
        correction(in.correction_G ? in.correction_G[channel / kWidth] : 0),
        scale(Machine::rsqrt(kWidth)) {}

  MDNLAB_DEVICE void forward() {
    typename Machine::template Ahead<T, 2> ahead;
    const auto ask = [&](int j, int n) {
      ahead.ask(0, j, q.x_at(n), n < q.tokens);
      ahead.ask(1, j, k.x_at(n), n < q.tokens);
    };
    const int steps = in.q.steps();
    ahead.first_step(ask);
#pragma unroll 1
    for (int step = 0; step < steps; ++step) {
      ahead.next_step(ask);
#pragma unroll
      for (int pair = 0; pair < kStep; pair += kPair) {
        Quad y_q[kPair], y_k[kPair];
        float squares[kPair * 2]{};
#pragma unroll
        for (int i = 0; i < kPair; ++i) {
          const int j = pair + i, reach = q.reach(step * kStep + j);
          q.of_step(j) = ahead.take(0, j);
          k.of_step(j) = ahead.take(1, j);
          y_q[i] = q.sum(j, reach, {});
          y_k[i] = k.sum(j, reach, {});
#pragma unroll
          for (int c = 0; c < kChannels; ++c) {
            float &x_q = y_q[i].value[c], &x_k = y_k[i].value[c];
            x_k = silu<Machine>(x_k).value;
            x_q = silu<Machine>(x_q).value - correction * x_k;
            squares[2 * i] += x_q * x_q;
            squares[2 * i + 1] += x_k * x_k;
          }
        }
        head.sum(squares);
#pragma unroll
        for (int i = 0; i < kPair; ++i) {
          const float r_q = scale * Machine::rsqrt(squares[2 * i] + kL2Epsilon),
                      r_k = Machine::rsqrt(squares[2 * i + 1] + kL2Epsilon);
#pragma unroll
          for (int c = 0; c < kChannels; ++c) {
            y_q[i].value[c] *= r_q;
            y_k[i].value[c] *= r_k;
          }
          q.store_y(step * kStep + pair + i, y_q[i]);
          k.store_y(step * kStep + pair + i, y_k[i]);
        }
      }
      q.end_step();
      k.end_step();
    }
  }

  // With r = 1/|x|:  dx = r·dy − r³⟨x,dy⟩·x, and for q all times K^−½;  dk' −= d·dq',  dd = −Σ dq'·k'
  MDNLAB_DEVICE void backward() {
    ConvolutionAdjoint<kDocuments, T, Machine> adjoint_q(q), adjoint_k(k);
    typename Machine::template Ahead<T, 4> ahead;
    const auto ask = [&](int j, int n) {
      ahead.ask(0, j, q.x_at(n), n < q.left);
      ahead.ask(1, j, k.x_at(n), n < q.left);
      adjoint_q.ask(ahead, 2, j, n);
      adjoint_k.ask(ahead, 3, j, n);
    };
    Quad dcorrection{};
    const int steps = in.q.steps();
    ahead.first_step(ask);
#pragma unroll 1
    for (int step = 0; step <= steps; ++step) {
      if (step == steps) {
        adjoint_q.store_dweight(run);
        adjoint_k.store_dweight(run);
        if (in.correction_G) Machine::store(in.dcorrection_RC + run * in.q.C + q.channel, dcorrection);
      }
      ahead.next_step(ask);
#pragma unroll
      for (int pair = 0; pair < kStep; pair += kPair) {
        Quad x_q[kPair], x_k[kPair], ds_q[kPair], ds_k[kPair], dy_q[kPair], dy_k[kPair];
        int reach[kPair];
        float sums[kPair * 4]{};  // |q'|², ⟨q',dy⟩; |k'|², ⟨k',dy⟩
#pragma unroll
        for (int i = 0; i < kPair; ++i) {
          const int j = pair + i;
          reach[i] = q.reach(step * kStep + j);
          q.of_step(j) = ahead.take(0, j);
          k.of_step(j) = ahead.take(1, j);
          dy_q[i] = adjoint_q.dy(ahead, 2, j);
          dy_k[i] = adjoint_k.dy(ahead, 3, j);
          const Quad s_q = q.sum(j, reach[i], {}), s_k = k.sum(j, reach[i], {});
#pragma unroll
          for (int c = 0; c < kChannels; ++c) {
            const Activation of_q = silu<Machine>(s_q.value[c]), of_k = silu<Machine>(s_k.value[c]);
            ds_q[i].value[c] = of_q.slope;
            ds_k[i].value[c] = of_k.slope;
            const float one_q = x_q[i].value[c] = of_q.value - correction * of_k.value,
                        one_k = x_k[i].value[c] = of_k.value;
            sums[4 * i] += one_q * one_q;
            sums[4 * i + 1] += one_q * dy_q[i].value[c];
            sums[4 * i + 2] += one_k * one_k;
            sums[4 * i + 3] += one_k * dy_k[i].value[c];
          }
        }
        head.sum(sums);
#pragma unroll
        for (int i = 0; i < kPair; ++i) {
          const float r_q = Machine::rsqrt(sums[4 * i] + kL2Epsilon),
                      r_k = Machine::rsqrt(sums[4 * i + 2] + kL2Epsilon), scaled = scale * r_q,
                      along_q = scaled * r_q * r_q * sums[4 * i + 1],
                      along_k = r_k * r_k * r_k * sums[4 * i + 3];
#pragma unroll
          for (int c = 0; c < kChannels; ++c) {
            const float dx_q = scaled * dy_q[i].value[c] - along_q * x_q[i].value[c];
            const float dx_k = r_k * dy_k[i].value[c] - along_k * x_k[i].value[c] - correction * dx_q;
            ds_q[i].value[c] *= dx_q;
            ds_k[i].value[c] *= dx_k;
            dcorrection.value[c] -= dx_q * x_k[i].value[c];
          }
          const int j = pair + i, n = step * kStep + j;
          adjoint_q.take(j, n, reach[i], ds_q[i]);
          adjoint_k.take(j, n, reach[i], ds_k[i]);
        }
      }
      q.end_step();
      k.end_step();
    }
  }
};

}  // namespace mdnlab::ops::cuda
