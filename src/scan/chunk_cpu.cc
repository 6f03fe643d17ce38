#include "scan/chunk_cpu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "scan/cpu/kernel.h"
#include "scan/prepared.h"

namespace mdnlab::scan {

namespace {

struct SavedForBackward {
  at::Tensor states;     // [H, chunks, S then M: halves·K, padded V], the state before each chunk or group
  at::Tensor residuals;  // [H, B·T, padded V]; undefined without delta
  at::Tensor scores;  // [H, chunks, C·padded C, once or with delta twice]; undefined with channel-wise decay
  at::Tensor alpha,
      mu;  // exp of the log-gates [B,T,H], float64; undefined with channel-wise decay, or without the gate
};

template <class T>
const cpu::Functions<T>& functions(const cpu::Scan<T>& scan) {
  const cpu::Kernel& kernel = scan.log_alpha ? cpu::channel_kernel() : cpu::kernel();
  if constexpr (std::is_same_v<T, double>) {
    return kernel.f64;
  } else {
    return kernel.f32;
  }
}

// In a rehearsal (rehearsal.h) a tensor that is there has an address, which nobody follows.
template <class T>
T* data(const at::Tensor& value) {
  static T nowhere;
  if (!value.defined()) return nullptr;
  return value.is_meta() ? &nowhere : value.mutable_data_ptr<T>();
}

template <class T>
const T* const_data(const at::Tensor& value) {
  return value.defined() && !value.is_meta() ? value.const_data_ptr<T>() : data<T>(value);
}

template <class T>
cpu::Rows<const T> const_rows(const at::Tensor& value_BTHX) {
  if (!value_BTHX.defined()) return {};
  return {const_data<T>(value_BTHX), value_BTHX.stride(1), value_BTHX.stride(2)};
}

template <class T>
cpu::Rows<T> rows(const at::Tensor& value_BTHX) {
  if (!value_BTHX.defined()) return {};
  return {data<T>(value_BTHX), value_BTHX.stride(1), value_BTHX.stride(2)};
}

std::int64_t chunk_count(std::int64_t tokens, std::int64_t chunk_size) {
  return (tokens + chunk_size - 1) / chunk_size;
}

// Smaller chunks have less to do within a chunk, larger ones carry the state less often. With channel-wise
// decay a pair of tokens within a chunk costs more, and they are smaller. 30 and 48 are whole blocks of a
// product's six rows.
std::int64_t default_chunk_size(const Inputs& inputs) {
  if (has_channel_decay(inputs)) return 16;
  return inputs.q_BTGK.size(3) < 128 ? 30 : 48;
}

// The chunks of channel-wise decay are small: backward rebuilds most states from every fourth.
std::int64_t chunks_per_state(const Inputs& inputs) { return has_channel_decay(inputs) ? 4 : 1; }

struct Documents {
  std::vector<cpu::Document> list;
  std::int64_t chunks = 0;
};

Documents documents(const Inputs& inputs, std::int64_t group_size) {
  Documents out;
  const std::vector<std::int64_t> starts = document_starts(inputs);
  for (std::size_t n = 0; n + 1 < starts.size(); ++n) {
    out.list.push_back({static_cast<std::int64_t>(n), starts[n], starts[n + 1], out.chunks});
    out.chunks += chunk_count(starts[n + 1] - starts[n], group_size);
  }
  return out;
}

template <class T>
cpu::Scan<T> describe(const Prepared& in, const Options& options, std::int64_t chunks) {
  cpu::Scan<T> scan;
  scan.heads = in.v_BTHV.size(2);
  scan.key_heads = in.q_BTGK.size(2);
  scan.key_width = in.q_BTGK.size(3);
  scan.value_width = in.v_BTHV.size(3);
  scan.tokens = in.q_BTGK.size(0) * in.q_BTGK.size(1);
  scan.chunks = chunks;
  scan.chunk_size = options.chunk_size;
  scan.chunks_per_state = chunks_per_state(in);
  scan.has_delta = in.has_delta;
  scan.has_momentum = in.log_mu.defined();
  scan.q = const_rows<T>(in.q_BTGK);
  scan.k = const_rows<T>(in.k_BTGK);
  scan.v = const_rows<T>(in.v_BTHV);
  scan.p = const_rows<T>(in.p_BTHK);
  scan.alpha = const_data<double>(in.alpha_BTH);
  scan.mu = const_data<double>(in.mu_BTH);
  if (has_channel_decay(in)) {
    scan.log_alpha = const_data<T>(in.log_alpha);
    scan.log_mu = const_data<T>(in.log_mu);
    scan.has_channel_mu = has_channel_momentum(in);
  }
  scan.look_ahead = in.look_ahead;
  scan.beta = const_data<T>(in.beta_BTH);
  scan.eta = const_data<T>(in.eta_BTH);
  scan.initial_state[0] = const_data<T>(in.initial_S_NHKV);
  scan.initial_state[1] = const_data<T>(in.initial_M_NHKV);
  return scan;
}

Options with_chunk_size(const Options& options, const Inputs& inputs) {
  // The backward pass of channel-wise decay keeps two K-vectors for each pair of a chunk's tokens.
  constexpr std::int64_t kLargestOfChannels = 64;
  const std::int64_t wished = options.chunk_size > 0 ? options.chunk_size : default_chunk_size(inputs);
  const std::int64_t longest =
      std::max<std::int64_t>(inputs.q_BTGK.size(1), 1);  // a document lies in one row
  const std::int64_t largest = has_channel_decay(inputs) ? std::min(longest, kLargestOfChannels) : longest;
  return {.chunk_size = std::min(wished, largest), .want_state = options.want_state};
}

// Calls work(document, key head, scratch) for every pair, each exactly once, on up to at::get_num_threads()
// threads. Pairs share no output, so the threads change no result.
// In a rehearsal, for none.
enum class Order { first_first, last_first };
template <class T, class Work>
void for_each_pair(const Inputs& in, const cpu::Scan<T>& scan, const std::vector<cpu::Document>& documents,
                   Order order, const Work& work) {
  const std::int64_t pairs = static_cast<std::int64_t>(documents.size()) * scan.key_heads;
  const std::int64_t scratch_size = functions<T>(scan).scratch_size(scan);
  // A thread costs tens of microseconds to start: worth it from about a million multiply-adds.
  constexpr double kWorthAThread = 1e6;
  const double multiply_adds = 4.0 * scan.tokens * scan.heads * scan.key_width * scan.value_width;
  const auto threads = std::min<std::int64_t>(
      {pairs, at::get_num_threads(), 1 + static_cast<std::int64_t>(multiply_adds / kWorthAThread)});
  c10::Allocator* const allocator = c10::GetAllocator(in.q_BTGK.device().type());
  std::vector<at::DataPtr> scratch;  // LibTorch's allocator of the CPU aligns to 64 bytes
  for (std::int64_t thread = 0; thread < threads; ++thread) {
    scratch.push_back(allocator->allocate(static_cast<std::size_t>(scratch_size) * sizeof(T)));
  }
  if (in.q_BTGK.is_meta()) return;
  std::atomic<std::int64_t> next = 0;
  const auto run = [&](const at::DataPtr& memory) {
    for (std::int64_t turn = next++; turn < pairs; turn = next++) {
      const std::int64_t pair = order == Order::first_first ? turn : pairs - 1 - turn;
      const auto document = static_cast<std::size_t>(pair / scan.key_heads);
      work(documents[document], pair % scan.key_heads, static_cast<T*>(memory.get()));
    }
  };
  std::vector<std::jthread> others;
  for (std::size_t thread = 1; thread < scratch.size(); ++thread) {
    others.emplace_back([&, thread] { run(scratch[thread]); });
  }
  if (!scratch.empty()) run(scratch[0]);
}

template <class T>
Outputs forward(const Prepared& in, const Options& options, SavedForBackward* saved) {
  const Documents documents = scan::documents(in, options.chunk_size * chunks_per_state(in));
  const cpu::Scan<T> scan = describe<T>(in, options, documents.chunks);
  const auto dtype = in.v_BTHV.options();
  const std::int64_t N = static_cast<std::int64_t>(documents.list.size()),
                     V_row = cpu::padded(scan.value_width);

  Outputs out;
  out.o_BTHV = at::empty(in.v_BTHV.sizes(), dtype);
  if (options.want_state) {
    out.final_S_NHKV = at::empty({N, scan.heads, scan.key_width, scan.value_width}, dtype);
    if (scan.has_momentum) out.final_M_NHKV = at::empty_like(out.final_S_NHKV);
  }
  cpu::Saved<T> kept;
  if (saved) {
    saved->alpha = in.alpha_BTH;
    saved->mu = in.mu_BTH;
    saved->states = at::empty({scan.heads, scan.chunks, scan.halves() * scan.key_width, V_row}, dtype);
    kept.states = data<T>(saved->states);
    if (scan.has_delta) saved->residuals = at::empty({scan.heads, scan.tokens, V_row}, dtype);
    kept.residuals = data<T>(saved->residuals);
    if (!scan.log_alpha) {
      saved->scores = at::empty({scan.heads, scan.chunks, kept.scores_of_a_chunk(scan)}, dtype);
      kept.scores = data<T>(saved->scores);
    }
  }
  const cpu::Results<T> results{rows<T>(out.o_BTHV), {data<T>(out.final_S_NHKV), data<T>(out.final_M_NHKV)}};
  for_each_pair(in, scan, documents.list, Order::first_first,
                [&](const cpu::Document& document, std::int64_t key_head, T* scratch) {
                  functions<T>(scan).forward(scan, document, key_head, results, kept, scratch);
                });
  return out;
}

template <class T>
Outputs step(const Prepared& in) {
  const Documents documents = scan::documents(in, 1);
  const cpu::Scan<T> scan = describe<T>(in, {.chunk_size = 1}, documents.chunks);
  Outputs out;
  out.o_BTHV = at::empty(in.v_BTHV.sizes(), in.v_BTHV.options());
  out.final_S_NHKV =
      at::empty({scan.tokens, scan.heads, scan.key_width, scan.value_width}, in.v_BTHV.options());
  if (scan.has_momentum) out.final_M_NHKV = at::empty_like(out.final_S_NHKV);
  const cpu::Results<T> results{rows<T>(out.o_BTHV), {data<T>(out.final_S_NHKV), data<T>(out.final_M_NHKV)}};
  for_each_pair(in, scan, documents.list, Order::first_first,
                [&](const cpu::Document& document, std::int64_t key_head, T* scratch) {
                  functions<T>(scan).step(scan, document, key_head, results, scratch);
                });
  return out;
}

template <class T>
Inputs backward(const Prepared& in, const Options& options, const SavedForBackward& saved,
                const Outputs& adjoints, const std::array<bool, kTensors>& wanted) {
  const Documents documents = scan::documents(in, options.chunk_size * chunks_per_state(in));
  const cpu::Scan<T> scan = describe<T>(in, options, documents.chunks);
  const cpu::Saved<T> kept{const_cast<T*>(const_data<T>(saved.states)),
                           const_cast<T*>(const_data<T>(saved.residuals)),
                           const_cast<T*>(const_data<T>(saved.scores))};

  Inputs out;
  const auto given = tensors(in);
  const auto gradient = tensors(out);
  for (std::size_t i = 0; i < kTensors; ++i) {
    if (wanted[i] && given[i]->defined()) *gradient[i] = at::empty(given[i]->sizes(), in.v_BTHV.options());
  }
  const cpu::Adjoints<T> received{
      const_rows<T>(adjoints.o_BTHV),
      {const_data<T>(adjoints.final_S_NHKV), const_data<T>(adjoints.final_M_NHKV)}};
  const cpu::Gradients<T> gradients{rows<T>(out.q_BTGK),
                                    rows<T>(out.k_BTGK),
                                    rows<T>(out.v_BTHV),
                                    rows<T>(out.p_BTHK),
                                    data<T>(out.log_alpha),
                                    data<T>(out.log_mu),
                                    data<T>(out.beta_BTH),
                                    data<T>(out.eta_BTH),
                                    {data<T>(out.initial_S_NHKV), data<T>(out.initial_M_NHKV)}};
  // What forward left last is still in the cache.
  for_each_pair(in, scan, documents.list, Order::last_first,
                [&](const cpu::Document& document, std::int64_t key_head, T* scratch) {
                  functions<T>(scan).backward(scan, document, key_head, kept, received, gradients, scratch);
                });
  return out;
}

}  // namespace

Outputs forward_cpu(const Inputs& inputs, const Options& options, Saved* saved) {
  const Prepared ready(inputs);
  const Options chosen = with_chunk_size(options, inputs);
  SavedForBackward kept;
  SavedForBackward* const keep = saved ? &kept : nullptr;
  Outputs out = compute_dtype(inputs) == at::kDouble ? forward<double>(ready, chosen, keep)
                                                     : forward<float>(ready, chosen, keep);
  if (saved) *saved = {kept.states, kept.residuals, kept.scores, kept.alpha, kept.mu};
  out.o_BTHV = out.o_BTHV.to(inputs.v_BTHV.scalar_type());
  return out;
}

Outputs step_cpu(const Inputs& inputs) {
  const Prepared ready(inputs);
  Outputs out = compute_dtype(inputs) == at::kDouble ? step<double>(ready) : step<float>(ready);
  out.o_BTHV = out.o_BTHV.to(inputs.v_BTHV.scalar_type());
  return out;
}

Inputs backward_cpu(const Inputs& inputs, const Options& options, const Saved& saved, const Outputs& adjoints,
                    const std::array<bool, kTensors>& wanted) {
  const SavedForBackward kept{saved[0], saved[1], saved[2], saved[3], saved[4]};
  const Prepared ready(inputs, kept.alpha, kept.mu);
  const Options chosen = with_chunk_size(options, inputs);
  const auto dtype = compute_dtype(inputs);
  Outputs received = adjoints;
  if (received.o_BTHV.defined()) received.o_BTHV = as_rows(received.o_BTHV.to(dtype));
  for (at::Tensor* state : {&received.final_S_NHKV, &received.final_M_NHKV}) {
    if (state->defined()) *state = state->contiguous();
  }
  Inputs out = dtype == at::kDouble ? backward<double>(ready, chosen, kept, received, wanted)
                                    : backward<float>(ready, chosen, kept, received, wanted);
  const auto given = tensors(inputs);
  const auto gradient = tensors(out);
  for (std::size_t i = 0; i < kTensors; ++i) {
    if (gradient[i]->defined()) *gradient[i] = gradient[i]->to(given[i]->scalar_type());
  }
  return out;
}

}  // namespace mdnlab::scan
