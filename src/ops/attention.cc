#include "ops/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "scan/rehearsal.h"
#include "scan/with_backward.h"

namespace mdnlab::ops {

namespace {

// Queries of a block; blocks narrower than this would leave the products too small.
constexpr std::int64_t least_block = 128;

// scaled_dot_product_attention in a rehearsal: its kernels keep the output, a number a query, and of a mask
// what they add to the scores.
at::Tensor without_data(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const std::optional<at::Tensor>& mask) {
  return with_backward(
      {q, k, v},
      [&](Tensors& kept) {
        const at::Tensor o = at::empty_like(q),
                         sums = at::empty(q.sizes().slice(0, 3), q.options().dtype(at::kFloat));
        kept = {q, k, v, o, sums, mask ? mask->to(q.scalar_type()) : at::Tensor()};
        return Tensors{o};
      },
      [](const BackwardPass& pass) {
        const at::Tensor& q = pass.kept[0];
        // On a GPU dq is summed in float32.
        const at::Tensor sum =
            is_as_on(at::kCUDA, q) ? at::empty(q.sizes(), q.options().dtype(at::kFloat)) : at::Tensor();
        return Tensors{at::empty_like(q), at::empty_like(pass.kept[1]), at::empty_like(pass.kept[2])};
      })[0];
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const std::optional<at::Tensor>& mask, bool is_causal) {
  if (q.is_meta()) return without_data(q, k, v, mask);
  return at::scaled_dot_product_attention(q, k, v, mask, 0.0, is_causal, std::nullopt,
                                          q.size(1) != k.size(1));
}

// Keys [first_key, first_key + keys) as queries [first_query, first_query + queries) see them, all counted
// from the first key there is: (queries,keys), or (B,1,queries,keys) with documents.
at::Tensor visible(std::int64_t first_query, std::int64_t queries, std::int64_t first_key, std::int64_t keys,
                   const Documents& documents, std::optional<std::int64_t> window, at::Device device) {
  const auto options = at::TensorOptions().dtype(at::kLong).device(device);
  const at::Tensor query = at::arange(first_query, first_query + queries, options).unsqueeze(1);
  const at::Tensor key = at::arange(first_key, first_key + keys, options).unsqueeze(0);
  at::Tensor mask = key <= query;
  if (window) mask = mask & (key > query - *window);
  if (!documents.exist()) return mask;
  const at::Tensor position = documents.position_BT.narrow(1, first_query, queries);
  const at::Tensor document = query.squeeze(1) - position;  // where the query's document starts
  return (mask & (key >= document.unsqueeze(-1))).unsqueeze(1);
}

}  // namespace

at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const Documents& documents, std::optional<std::int64_t> window) {
  const std::int64_t tokens = q.size(2), seen = k.size(2), past = seen - tokens;
  if (!window || seen <= *window) {
    if (tokens == 1) return attend(q, k, v, std::nullopt, false);
    if (past == 0 && !documents.exist()) return attend(q, k, v, std::nullopt, true);
    return attend(q, k, v, visible(past, tokens, 0, seen, documents, std::nullopt, q.device()), false);
  }
  const std::int64_t block = std::max(*window, least_block);
  std::vector<at::Tensor> outputs;
  for (std::int64_t first = 0; first < tokens; first += block) {
    const std::int64_t queries = std::min(block, tokens - first);
    const std::int64_t first_key = std::max<std::int64_t>(0, past + first - *window + 1);
    const std::int64_t keys = past + first + queries - first_key;
    outputs.push_back(
        attend(q.narrow(2, first, queries), k.narrow(2, first_key, keys), v.narrow(2, first_key, keys),
               visible(past + first, queries, first_key, keys, documents, window, q.device()), false));
  }
  return outputs.size() == 1 ? outputs[0] : at::cat(outputs, 2);
}

at::Tensor attention_over(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const at::Tensor& mask) {
  return attend(q, k, v, mask, false);
}

}  // namespace mdnlab::ops
