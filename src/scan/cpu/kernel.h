// The CPU kernels of the scan: what the host hands them and the table of those built. No torch here.
//
// The same sources (kernel.cc and the headers it includes) are compiled once for each instruction set; every
// variant computes the same sums in an order of its own, so results agree to rounding.
#pragma once

#include <cstdint>
#include <span>

namespace mdnlab::scan::cpu {

// Rows of a tensor [tokens, heads, width]; the entries of a row are adjacent. Null: not given.
template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;

  T* row(std::int64_t token, std::int64_t head) const {
    return data + token * token_stride + head * head_stride;
  }
};

// Widths of saved tiles are rounded up to this many entries.
inline constexpr std::int64_t kTileAlignment = 16;

inline std::int64_t padded(std::int64_t width) {
  return (width + kTileAlignment - 1) / kTileAlignment * kTileAlignment;
}

// The inputs of chunk.h. Tokens are those of the flattened (B,T); gates are contiguous [tokens, H], null:
// neutral.
template <class T>
struct Scan {
  std::int64_t heads = 0, key_heads = 0, key_width = 0, value_width = 0;
  std::int64_t tokens = 0;
  std::int64_t chunks = 0;      // of all documents together; with chunks_per_state > 1 groups of so many
  std::int64_t chunk_size = 0;  // > 0
  std::int64_t chunks_per_state = 1;  // saved for backward; the kernels of scalar decay save each
  bool has_delta = false, has_momentum = false;
  Rows<const T> q, k, v, p;
  const double *alpha = nullptr, *mu = nullptr;  // exp of the log-gates
  // Channel-wise decay: instead of those the log-gates, [tokens, H, K]; log μ may be [tokens, H].
  const T *log_alpha = nullptr, *log_mu = nullptr;
  bool has_channel_mu = false;
  double look_ahead = 0;  // ω
  const T *beta = nullptr, *eta = nullptr;
  const T* initial_state[2] = {};  // S, M [N,H,K,V]; null: 0

  int halves() const { return has_momentum ? 2 : 1; }  // of the state: S, and M
};

// One document: tokens [start, end); its chunks (or groups) are first_chunk, first_chunk + 1, … of the scan.
struct Document {
  std::int64_t index = 0, start = 0, end = 0, first_chunk = 0;
};

// What forward keeps for backward; null in inference.
template <class T>
struct Saved {
  T* states = nullptr;     // [H, chunks, S then M: halves·K, padded(V)], before each chunk
  T* residuals = nullptr;  // [H, tokens, padded(V)]; null without delta, where the residual is v
  T* scores = nullptr;     // [H, chunks, QKᵀ then, with delta, PKᵀ: C, padded(C)]

  static std::int64_t state_at(const Scan<T>& scan, std::int64_t head, std::int64_t chunk) {
    return (head * scan.chunks + chunk) * scan.halves() * scan.key_width * padded(scan.value_width);
  }
  static std::int64_t scores_of_a_chunk(const Scan<T>& scan) {
    return (scan.has_delta ? 2 : 1) * scan.chunk_size * padded(scan.chunk_size);
  }
  static std::int64_t scores_at(const Scan<T>& scan, std::int64_t head, std::int64_t chunk) {
    return (head * scan.chunks + chunk) * scores_of_a_chunk(scan);
  }
  static std::int64_t residual_at(const Scan<T>& scan, std::int64_t head, std::int64_t token) {
    return (head * scan.tokens + token) * padded(scan.value_width);
  }
};

template <class T>
struct Results {
  Rows<T> o;
  T* final_state[2] = {};  // S, M [N,H,K,V]; null: not wanted
};

// Null: the result takes no part in the loss.
template <class T>
struct Adjoints {
  Rows<const T> o;
  const T* final_state[2] = {};
};

// Laid out as the inputs; null: not wanted. Every entry is written (q and k once all value heads are done).
template <class T>
struct Gradients {
  Rows<T> q, k, v, p;
  T *log_alpha = nullptr, *log_mu = nullptr, *beta = nullptr, *eta = nullptr;
  T* initial_state[2] = {};
};

// Every function works on one document and one key head with its value heads, touches nothing else, and needs
// `scratch` of scratch_size() entries, aligned to 64 bytes, whose content does not matter.
template <class T>
struct Functions {
  std::int64_t (*scratch_size)(const Scan<T>& scan);
  void (*forward)(const Scan<T>& scan, const Document& document, std::int64_t key_head,
                  const Results<T>& results, const Saved<T>& saved, T* scratch);
  void (*backward)(const Scan<T>& scan, const Document& document, std::int64_t key_head,
                   const Saved<T>& saved, const Adjoints<T>& adjoints, const Gradients<T>& gradients,
                   T* scratch);
  // Exactly one token a document.
  void (*step)(const Scan<T>& scan, const Document& document, std::int64_t key_head,
               const Results<T>& results, T* scratch);
};

struct Kernel {
  Functions<float> f32;
  Functions<double> f64;
};

// The variant that ATen uses on this machine (ATEN_CPU_CAPABILITY=default|avx2|avx512 lowers it).
const Kernel& kernel();
const Kernel& channel_kernel();  // for channel-wise decay

}  // namespace mdnlab::scan::cpu
