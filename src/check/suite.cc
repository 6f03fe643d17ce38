#include "check/suite.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/text.h"
#include "check/layer_checks.h"

namespace mdnlab::check {

namespace {

// K and V differ where the rule allows it; some rules need heads as wide as their options say.
constexpr LayerShape kShapes[] = {
    {.hidden_size = 16, .num_heads = 2, .head_dim = 8, .expand_v = 1.5},
    {.hidden_size = 64, .num_heads = 2, .head_dim = 32},
    {.hidden_size = 128, .num_heads = 2, .head_dim = 64},
};

// Numbers whose usual value leaves a part of a layer unused: heads that share keys, groups that share B and
// C, a window shorter than the sequences, an output that looks ahead, a floor that some gates reach.
constexpr std::pair<std::string_view, const char*> kNumbers[] = {{"num_v_heads", "4"},  {"num_kv_heads", "1"},
                                                                 {"n_groups", "2"},     {"window", "8"},
                                                                 {"look_ahead", "0.5"}, {"min_log_mu", "-1"}};

std::vector<std::string> values_of(const Field& field) {
  for (const auto& [name, value] : kNumbers) {
    if (field.name == name) return {value};
  }
  if (field.type == Type::boolean) return {"false", "true"};
  if (field.type == Type::text && field.choices) return split(field.choices, '|');
  return {};
}

bool is_switch(const Field& field) {
  const std::string_view name = field.name;
  return name == "delta" || name == "momentum" || name == "decay";
}

// Settings beside the given ones, each a list of key=value.
std::vector<std::vector<std::string>> variants(std::span<const Field> fields,
                                               std::span<const std::string> settings) {
  std::vector<std::vector<std::string>> switches{{}}, list;
  for (const Field& field : fields) {
    const std::string key = std::string(field.name) + "=";
    const auto is_given = [&](const std::string& word) { return word.starts_with(key); };
    if (std::ranges::any_of(settings, is_given)) continue;
    const std::vector<std::string> values = values_of(field);
    if (values.empty()) continue;
    if (is_switch(field)) {
      std::vector<std::vector<std::string>> crossed;
      for (const std::vector<std::string>& words : switches) {
        for (const std::string& value : values) {
          crossed.push_back(words);
          crossed.back().push_back(key + value);
        }
      }
      switches = std::move(crossed);
    } else {
      for (const std::string& value : values) {
        if (!field.preset || value != field.preset) list.push_back({key + value});
      }
    }
  }
  if (switches.size() > 1) list.insert(list.begin(), switches.begin(), switches.end());
  return list;
}

bool share_a_key(std::span<const std::string> some, std::span<const std::string> others) {
  const auto key = [](const std::string& word) { return word.substr(0, word.find('=')); };
  return std::ranges::any_of(some, [&](const std::string& word) {
    return std::ranges::find(others, key(word), key) != others.end();
  });
}

// Null where the rule refuses.
std::unique_ptr<mdnlab::Rule> accepted(const LayerChoice& choice) {
  try {
    return choice.plugin->create(choice.options, choice.shape);
  } catch (const Error& error) {
    if (error.code() != Code::usage) throw;
    return nullptr;
  }
}

LayerShape first_shape(const Plugin& plugin, const Params& options, c10::Device device) {
  std::vector<LayerShape> shapes(std::begin(kShapes), std::end(kShapes));
  if (!device.is_cpu()) std::ranges::reverse(shapes);
  for (const LayerShape& shape : shapes) {
    if (accepted({&plugin, options, shape, ""})) return shape;
  }
  plugin.create(options, kShapes[0]);  // says why
  return kShapes[0];
}

bool same_parameters(const mdnlab::Rule& one, const mdnlab::Rule& other) {
  return std::ranges::equal(
      one.parameters(), other.parameters(),
      [](const ParameterSpec& a, const ParameterSpec& b) { return a.name == b.name && a.shape == b.shape; });
}

}  // namespace

std::vector<LayerChoice> layer_choices(const Plugin& plugin, std::span<const std::string> settings,
                                       c10::Device device) {
  const Params usual = read_settings(settings, "rule", plugin.options());
  std::vector<LayerChoice> list{{&plugin, usual, first_shape(plugin, usual, device), ""}};
  const LayerShape shape = list[0].shape;
  const auto add = [&](const std::vector<std::string>& variant) {
    std::vector<std::string> words(settings.begin(), settings.end());
    words.insert(words.end(), variant.begin(), variant.end());
    LayerChoice choice{&plugin, read_settings(words, "rule", plugin.options()), shape, join(variant, ",")};
    if (!accepted(choice)) return false;
    if (choice.options.json() != usual.json()) list.push_back(std::move(choice));
    return true;
  };
  const std::vector<std::vector<std::string>> all = variants(plugin.options(), settings);
  for (const std::vector<std::string>& variant : all) {
    if (add(variant)) continue;
    // What is refused alone may belong to another choice, as an option of one gate_constraint does.
    for (const std::vector<std::string>& other : all) {
      std::vector<std::string> both = other;
      both.insert(both.end(), variant.begin(), variant.end());
      if (!share_a_key(variant, other) && add(both)) break;
    }
  }
  for (const std::int64_t taps : {0, 1}) {
    LayerChoice choice{&plugin, usual, list[0].shape, "conv_size=" + std::to_string(taps)};
    choice.shape.conv_size = taps;
    const auto rule = accepted(choice);
    if (rule && !same_parameters(*rule, *accepted(list[0]))) list.push_back(std::move(choice));
  }
  return list;
}

std::optional<Recurrence> recurrence_of(const LayerChoice& choice) {
  const Layer layer(choice, at::kFloat, 1);
  const at::NoGradGuard no_grad;
  if (const auto gates = layer.rule().coefficients(layer.input(1, 1), layer.weights())) {
    return Recurrence{gates->has_delta, gates->log_mu.defined(),
                      !gates->log_alpha.defined()   ? Decay::none
                      : gates->log_alpha.dim() == 4 ? Decay::channel
                                                    : Decay::scalar};
  }
  // A mixer of its own may still use the scan; then it has one of these.
  const Capabilities& says = choice.plugin->info().capabilities;
  const std::string_view decay = says.decay;
  const Recurrence declared{says.delta, says.momentum,
                            decay == "channel"  ? Decay::channel
                            : decay == "scalar" ? Decay::scalar
                                                : Decay::none};
  if (declared == Recurrence{}) return std::nullopt;
  return declared;
}

const Verdict& Suite::of_recurrence(const Recurrence& recurrence) {
  for (const auto& [known, verdict] : recurrences_) {
    if (known == recurrence) return verdict;
  }
  return recurrences_.emplace_back(recurrence, check_recurrence(recurrence, *kernel_, seed_)).second;
}

Verdict Suite::check(const Plugin& plugin, std::span<const std::string> settings) {
  Verdict verdict;
  std::vector<Recurrence> done;
  for (const LayerChoice& choice : layer_choices(plugin, settings, layers_.value_or(c10::kCPU))) {
    const std::optional<Recurrence> recurrence = kernel_ ? recurrence_of(choice) : std::nullopt;
    if (recurrence && std::ranges::find(done, *recurrence) == done.end()) {
      done.push_back(*recurrence);
      verdict.append(of_recurrence(*recurrence), choice.variant);
    }
    if (!layers_) continue;
    Verdict of_layer;
    check_layer(choice, seed_, *layers_, of_layer);
    if (!layers_->is_cpu()) of_layer.set_place("cuda", "");
    verdict.append(of_layer, "");
  }
  return verdict;
}

}  // namespace mdnlab::check
