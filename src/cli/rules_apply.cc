#include "cli/rules_apply.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "check/apply.h"
#include "cli/arguments.h"
#include "scan/implementation.h"

namespace mdnlab {

namespace {

constexpr std::pair<const char*, ScanMode> modes[] = {
    {"reference", ScanMode::reference}, {"chunk", ScanMode::chunk}, {"step", ScanMode::step}};
constexpr std::pair<const char*, c10::ScalarType> dtypes[] = {{"f32", c10::ScalarType::Float},
                                                              {"f64", c10::ScalarType::Double},
                                                              {"bf16", c10::ScalarType::BFloat16},
                                                              {"f16", c10::ScalarType::Half}};

// The meaning of an option's word.
template <class Row, std::size_t count>
auto choice(const Arguments& arguments, const char* option, const Row (&rows)[count]) {
  std::vector<std::string> words;
  for (const auto& [word, meaning] : rows) {
    if (word == arguments.text(option)) return meaning;
    words.emplace_back(word);
  }
  throw Error(Code::usage, {.what = fmt::format("--{} is none of its words", option),
                            .found = quote(arguments.text(option)),
                            .hint = suggestion(arguments.text(option), words)});
}

std::filesystem::path required_file(const Arguments& arguments, const char* option) {
  if (arguments.text(option).empty())
    throw Error(Code::usage, {.what = fmt::format("--{} FILE.safetensors is missing", option)});
  return arguments.text(option);
}

std::string dtype_word(const at::Tensor& tensor) {
  for (const auto& [word, dtype] : dtypes) {
    if (dtype == tensor.scalar_type()) return word;
  }
  return c10::toString(tensor.scalar_type());
}

double norm(const at::Tensor& tensor) { return tensor.to(at::kDouble).norm().item<double>(); }

Table table_of(const TensorMap& tensors) {
  Table table{{{"tensor"}, {"shape"}, {"dtype"}, {"norm", true}}, {}};
  for (const auto& [name, tensor] : tensors)
    table.rows.push_back(
        {name, sizes_text(tensor.sizes()), dtype_word(tensor), fmt::format("{:.6g}", norm(tensor))});
  return table;
}

nlohmann::ordered_json json_of(const TensorMap& tensors) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& [name, tensor] : tensors) {
    list.push_back({{"tensor", name},
                    {"shape", tensor.sizes().vec()},
                    {"dtype", dtype_word(tensor)},
                    {"norm", norm(tensor)}});
  }
  return list;
}

// Options of the layer around the recurrence (gates, convolution, …) would have no effect here.
Params recurrence_options(const Arguments& arguments, const Plugin& plugin) {
  const std::vector<std::string> words = arguments.texts("set");
  Params options = read_settings(words, "rule", plugin.options());
  for (const std::string& word : words) {
    const std::string key = word.substr(0, word.find('='));
    if (key == "delta" || key == "momentum" || key == "decay" || key == "look_ahead") continue;
    throw options.error(key, quote(key) + " is an option of the layer, not of its bare recurrence",
                        "one of delta, momentum, decay, look_ahead");
  }
  return options;
}

// What is wrong with a tensor is wrong with the file.
TensorMap apply_to_file(const RuleRecurrence& recurrence, const std::filesystem::path& input,
                        const ApplyOptions& options) {
  const TensorMap given = read_safetensors(input).tensors;
  try {
    return apply(recurrence, given, options);
  } catch (const Error& error) {
    ErrorText text = error.text();
    if (text.place.file.empty()) text.place.file = input.string();
    throw Error(error.code(), std::move(text));
  }
}

}  // namespace

int rules_apply(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab rules apply RULE -i IN.safetensors -o OUT.safetensors [options]",
       .about = "Runs a rule's bare recurrence on given tensors, to hold other code against it:\n\n"
                "  r_t = v_t - S_{t-1}^T p_t              M_t = mu_t M_{t-1} - eta_t k_t r_t^T\n"
                "  S_t = alpha_t S_{t-1} - beta_t M_t     o_t = (S_t - w M_t)^T q_t, w: look_ahead\n\n"
                "Reads     q, k (B,T,H,K; fewer heads than v are shared), v (B,T,H,V); absent\n"
                "          ones are neutral: log_alpha, log_mu, beta, eta (B,T,H; with channel\n"
                "          decay log_alpha (B,T,H,K), log_mu either), p (B,T,H,K; absent: alpha k),\n"
                "          initial_S, initial_M (N,H,K,V), cu_seqlens (int32, N+1)\n"
                "Writes    o, final_S, final_M; where do (B,T,H,V) is given, and d_final_S,\n"
                "          d_final_M if they are, the gradient dX of every given X the rule uses:\n"
                "          dq, dk, dv, dlog_alpha, dlog_mu, dbeta, deta, dp, dinitial_S, dinitial_M\n"
                "          (without a p, what flows through p = alpha k is in dk and dlog_alpha)\n"
                "dtypes    computed in --dtype: o and the gradients of q, k, v, p have it; gates,\n"
                "          states and theirs are f32 (f64 with f64). The reference rounds its input\n"
                "          to --dtype where that is given, and is float64 throughout, output too.\n"
                "Refused   with exit code 2, naming the tensor: unknown names; a tensor that the\n"
                "          rule has no use for, unless neutral (log_alpha 0, log_mu -inf, eta 1,\n"
                "          p 0, state 0); shapes and dtypes that do not fit; NaN or an infinity, with\n"
                "          its index (a log-gate may be -inf); a log-gate above 0; a file that is cut\n"
                "          short or lies; an output that is the input.",
       .examples = "  mdnlab rules apply mdn -i in.safetensors -o out.safetensors --json\n"
                   "  mdnlab rules apply kda -i in.safetensors -o ref.safetensors --mode reference\n"
                   "  mdnlab rules apply family --set delta=false --set decay=channel \\\n"
                   "    -i in.safetensors -o out.safetensors --normalize --scale\n"});
  arguments.positional("RULE", "a rule of `mdnlab rules list`");
  arguments.option("input,i FILE", "the tensors");
  arguments.option("output,o FILE", "where the results go; an old file is replaced");
  arguments.option("mode MODE", "chunk: the fast form; reference: token by token in float64; step: decoding",
                   "chunk");
  arguments.option("dtype TYPE", "f32, f64, bf16 or f16; else that of q");
  arguments.add_device(Device::cpu);
  arguments.option("kernel NAME",
                   "of modes chunk and step: cpu, batched, …; else the first that takes the tensors");
  arguments.flag("normalize", "divide q and k by their norms first, head by head");
  arguments.flag("scale", "multiply q by K^-1/2 (after --normalize)");
  arguments.list("set KEY=VALUE", "delta, momentum, decay or look_ahead of a rule that has it as an option");
  arguments.add_plugins();
  arguments.add_formats();
  if (!arguments.parse(words)) return 0;
  const c10::Device device = arguments.device();
  const std::filesystem::path input = required_file(arguments, "input"),
                              output = required_file(arguments, "output");
  ApplyOptions options{.mode = choice(arguments, "mode", modes),
                       .device = device,
                       .normalize = arguments.has("normalize"),
                       .scale = arguments.has("scale")};
  if (arguments.has("kernel")) {
    options.kernel = arguments.text("kernel");
    scan::require_implementation(device.type(), options.kernel);
  }
  if (arguments.has("dtype")) options.dtype = choice(arguments, "dtype", dtypes);
  if (!std::filesystem::is_directory(output.has_parent_path() ? output.parent_path() : "."))
    throw Error(Code::usage, {.place = {output.string()}, .what = "the folder is not there"});
  if (std::error_code absent; std::filesystem::equivalent(input, output, absent))
    throw Error(Code::usage, {.place = {output.string()}, .what = "the output is the input"});
  const Plugins plugins = arguments.plugins();
  const Plugin& plugin = plugins.find(arguments.text("RULE"));
  const RuleRecurrence recurrence = recurrence_of(plugin, recurrence_options(arguments, plugin));

  const TensorMap results = apply_to_file(recurrence, input, options);
  write_safetensors(output, results, {{"rule", recurrence.rule}, {"mode", arguments.text("mode")}});
  for (const auto& [name, tensor] : results) {
    if (!std::isfinite(norm(tensor)))
      warn(quote(name) + " holds what is no number, or numbers too large to add up");
  }
  if (arguments.has("json")) {
    print(nlohmann::ordered_json{{"rule", recurrence.rule},
                                 {"mode", arguments.text("mode")},
                                 {"output", output.string()},
                                 {"tensors", json_of(results)}}
              .dump(2) +
          "\n");
  } else {
    print(table_of(results).text(arguments.format()));
  }
  return 0;
}

}  // namespace mdnlab
