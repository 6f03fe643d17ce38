#include "interop/peer_layout.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"

namespace mdnlab {

namespace {

using enum PeerKey::Use;

constexpr PeerKey gated_deltanet_keys[] = {{"hidden_size", model, "2048"},
                                           {"num_hidden_layers", model, "21"},
                                           {"num_heads", model, "6"},
                                           {"head_dim", model, "256"},
                                           {"expand_v", model, "2.0"},
                                           {"hidden_ratio", model, "4"},
                                           {"intermediate_size", model, "null"},
                                           {"conv_size", model, "4"},
                                           {"norm_eps", model, "1e-06"},
                                           {"vocab_size", model, "32000"},
                                           {"tie_word_embeddings", model, "false"},
                                           {"num_v_heads", rule, "null"},
                                           {"use_short_conv", rule, "true"},
                                           {"allow_neg_eigval", rule, "false"},
                                           {"use_gate", code, "true"},
                                           {"output_gate_activation", code, "\"swish\""},
                                           {"hidden_act", fixed, "\"swish\"", "silu"},
                                           {"attnres_block_size", fixed, "null"},
                                           {"attn", code, "null"}};

constexpr PeerKey kda_keys[] = {{"hidden_size", model, "2048"},
                                {"num_hidden_layers", model, "24"},
                                {"num_heads", model, "16"},
                                {"head_dim", model, "128"},
                                {"expand_v", model, "1.0"},
                                {"hidden_ratio", model, "4"},
                                {"intermediate_size", model, "null"},
                                {"conv_size", model, "4"},
                                {"norm_eps", model, "1e-06"},
                                {"vocab_size", model, "32000"},
                                {"tie_word_embeddings", model, "false"},
                                {"num_v_heads", rule, "null"},
                                {"use_short_conv", rule, "true"},
                                {"allow_neg_eigval", rule, "false"},
                                {"use_gate", fixed, "true"},
                                {"safe_gate", fixed, "false"},
                                {"lower_bound", fixed, "null"},
                                {"hidden_act", fixed, "\"swish\"", "silu"},
                                {"attnres_block_size", fixed, "null"},
                                {"attn", code, "null"}};

// Its layer takes allow_neg_eigval and does not read it.
constexpr PeerKey momentum_deltanet_keys[] = {{"hidden_size", model, "2048"},
                                              {"num_hidden_layers", model, "21"},
                                              {"num_heads", model, "6"},
                                              {"head_dim", model, "256"},
                                              {"expand_v", model, "2.0"},
                                              {"hidden_ratio", model, "4"},
                                              {"intermediate_size", model, "null"},
                                              {"conv_size", model, "4"},
                                              {"norm_eps", model, "1e-06"},
                                              {"vocab_size", model, "32000"},
                                              {"tie_word_embeddings", model, "false"},
                                              {"num_v_heads", rule, "null"},
                                              {"use_short_conv", rule, "true"},
                                              {"use_output_correction", rule, "true", "output_correction"},
                                              {"min_log_mu", rule, "-2.0"},
                                              {"tau_factor", rule, "1"},
                                              {"use_p_times_alpha", fixed, "true"},
                                              {"use_gate", code, "true"},
                                              {"use_lora_gate", fixed, "false"},
                                              {"hidden_act", fixed, "\"swish\"", "silu"},
                                              {"attn", code, "null"}};

constexpr PeerKey transformer_keys[] = {{"hidden_size", model, "2048"},
                                        {"num_hidden_layers", model, "24"},
                                        {"num_heads", model, "32"},
                                        {"hidden_ratio", model, "4"},
                                        {"intermediate_size", model, "null"},
                                        {"norm_eps", model, "1e-06"},
                                        {"vocab_size", model, "32000"},
                                        {"tie_word_embeddings", model, "false"},
                                        {"num_kv_heads", rule, "null"},
                                        {"qkv_bias", rule, "false"},
                                        {"qk_norm", rule, "false"},
                                        {"rope_theta", rule, "10000.0"},
                                        {"window_size", code, "null"},
                                        {"elementwise_affine", fixed, "true"},
                                        {"hidden_act", fixed, "\"swish\"", "silu"},
                                        {"attnres_block_size", fixed, "null"}};

// rms_norm and time_step_limit are what rmsnorm and dt_limit were called before version 0.5.
constexpr PeerKey mamba2_keys[] = {{"hidden_size", model, "2048"},
                                   {"num_hidden_layers", model, "48"},
                                   {"conv_kernel", model, "4", "conv_size"},
                                   {"norm_eps", model, "1e-05"},
                                   {"vocab_size", model, "32000"},
                                   {"tie_word_embeddings", model, "false"},
                                   {"expand", rule, "2"},
                                   {"head_dim", rule, "64", "head_width"},
                                   {"state_size", rule, "128"},
                                   {"n_groups", rule, "1"},
                                   {"norm_before_gate", rule, "false"},
                                   {"num_heads", code, "null"},
                                   {"rms_norm", code, "true"},
                                   {"time_step_limit", code, "null"},
                                   {"dt_limit", code, "null"},
                                   {"rmsnorm", fixed, "true"},
                                   {"use_bias", fixed, "false"},
                                   {"use_conv_bias", fixed, "true"},
                                   {"D_has_hdim", fixed, "false"},
                                   {"hidden_act", fixed, "\"silu\"", "swish"}};

constexpr PeerLayout layouts[] = {
    {"gated_deltanet", "GatedDeltaNetForCausalLM", "gated_deltanet", false, gated_deltanet_keys},
    {"kda", "KDAForCausalLM", "kda", false, kda_keys},
    {"mamba2", "Mamba2ForCausalLM", "mamba2", true, mamba2_keys},
    {"momentum_deltanet", "MomentumDeltaNetForCausalLM", "mdn", false, momentum_deltanet_keys},
    {"transformer", "TransformerForCausalLM", "attention", false, transformer_keys}};

constexpr std::string_view free_keys[] = {
    // what the file is, and who wrote it
    "model_type", "architectures", "transformers_version", "torch_dtype", "dtype", "auto_map",
    "_name_or_path", "name_or_path",
    // how it is computed
    "attn_mode", "fuse_norm", "fuse_swiglu", "fuse_cross_entropy", "fuse_linear_cross_entropy", "use_cache",
    "chunk_size", "residual_in_fp32", "max_position_embeddings", "return_dict", "output_hidden_states",
    "output_attentions", "is_encoder_decoder", "is_decoder", "chunk_size_feed_forward", "problem_type",
    "id2label", "label2id",
    // how it was trained, and started
    "use_l2warp", "initializer_range", "rescale_prenorm_residual", "conv_init", "A_init_range", "dt_min",
    "dt_max", "dt_init_floor", "time_step_rank", "time_step_min", "time_step_max", "time_step_floor",
    "lora_gate_rank", "allow_neg_eigval",
    // which tokens mean what
    "bos_token_id", "eos_token_id", "pad_token_id"};

}  // namespace

std::span<const PeerLayout> peer_layouts() { return layouts; }

const PeerLayout& peer_layout(std::string_view model_type, const Place& place) {
  std::vector<std::string> names;
  for (const PeerLayout& layout : layouts) {
    if (model_type == layout.model_type) return layout;
    names.emplace_back(layout.model_type);
  }
  throw Error(Code::usage,
              {place, "unknown model_type", quote(model_type), {}, suggestion(model_type, names)});
}

bool is_free_key(std::string_view name) { return std::ranges::find(free_keys, name) != std::end(free_keys); }

std::string peer_name(const PeerLayout& layout, const std::string& name) {
  if (!layout.is_mamba) return name;
  std::string there = name;
  const std::pair<std::string_view, std::string_view> parts[] = {{"model.norm.", "backbone.norm_f."},
                                                                 {"model.", "backbone."},
                                                                 {".attn_norm.", ".norm."},
                                                                 {".attn.", ".mixer."}};
  for (const auto& [here, peer] : parts) {
    if (const std::size_t at = there.find(here); at != std::string::npos)
      there.replace(at, here.size(), peer);
  }
  return there;
}

}  // namespace mdnlab
