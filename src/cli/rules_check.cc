#include "cli/rules_check.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <list>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/log.h"
#include "base/text.h"
#include "check/suite.h"
#include "cli/arguments.h"
#include "scan/implementation.h"

namespace mdnlab {

namespace {

using check::Case;

struct Checked {
  std::string rule;
  std::vector<Case> cases;
  std::vector<std::string> left_out;
};

// What is proved, one after another: the recurrence on a kernel, the rule's layers on the device, or both.
struct Subject {
  std::optional<check::Kernel> kernel;
  std::optional<c10::Device> layers;

  // "cuda hopper", "cuda layers"; empty where it is the usual choice on the CPU.
  std::string place() const {
    if (kernel && !kernel->name.empty()) return (kernel->device.is_cpu() ? "cpu " : "cuda ") + kernel->name;
    return layers && layers->is_cuda() ? "cuda layers" : "";
  }
};

std::vector<Subject> subjects_of(const Arguments& arguments, c10::Device device) {
  const std::string level = arguments.text("level"), kernel = arguments.text("kernel");
  if (level != "" && level != "recurrence" && level != "layer") {
    throw Error(Code::usage,
                {.what = "unknown level", .found = "--level " + level, .expected = "recurrence or layer"});
  }
  if (level == "layer") {
    if (kernel.empty()) return {{{}, device}};
    throw Error(Code::usage, {.what = "layers choose their kernel",
                              .found = "--kernel " + kernel,
                              .expected = "--level recurrence, or no --kernel"});
  }
  if (!kernel.empty()) {
    scan::require_implementation(device.type(), kernel);
    return {{check::kernel_on(device, kernel), {}}};
  }
  const std::optional<c10::Device> layers = level.empty() ? std::optional(device) : std::nullopt;
  if (device.is_cpu()) return {{check::Kernel{}, layers}};
  std::vector<Subject> subjects;
  for (const std::string& name : scan::implementation_names(device.type()))
    subjects.push_back({check::kernel_on(device, name), {}});
  if (layers) subjects.push_back({{}, layers});
  return subjects;
}

// So that the same inputs may be asked to give the same bits: LibTorch's attention, for one, sums its
// gradients in any order otherwise. cuBLAS wants to be told before it starts.
void make_gpu_deterministic() {
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

std::int64_t failures(const std::vector<Case>& cases) {
  return std::ranges::count_if(cases, [](const Case& row) { return !row.passed; });
}

// 4.6e-3, without the zero that printf pads an exponent with.
std::string short_number(double value) {
  if (value == 0) return "0";
  if (!std::isfinite(value)) return "inf";
  std::string text = fmt::format("{:.1e}", value);
  const std::size_t digit = text.find('e') + 2;
  if (text[digit] == '0') text.erase(digit, 1);
  return text;
}

std::string limit_text(const Case& row) { return row.tolerance == 0 ? "exact" : short_number(row.tolerance); }

// How near a case is to its tolerance, or how far beyond.
double severity(const Case& row) {
  if (row.tolerance > 0) return row.error / row.tolerance;
  return row.passed ? 0 : std::numeric_limits<double>::infinity();
}

// "[15,0,3] bf16 d_k_conv1d.weight", cut to what a line of 80 columns leaves it.
std::string place_text(const Case& row) {
  constexpr std::size_t kRoom = 33;
  if (row.error == 0) return "";
  const std::string tensor = row.name.substr(row.name.rfind('/') + 1);
  const std::string text = trim(row.worst_index + " " + row.dtype + " " + tensor);
  return text.size() <= kRoom ? text : text.substr(0, kRoom - 1) + "…";
}

// A line a group, with its worst case.
Table group_table(const std::vector<Case>& cases) {
  Table table{{{"group"}, {"cases", true}, {"error", true}, {"limit", true}, {"worst at"}}, {}};
  std::vector<std::string> names;
  for (const Case& row : cases) {
    if (std::ranges::find(names, row.group) == names.end()) names.push_back(row.group);
  }
  for (const std::string& name : names) {
    std::vector<Case> rows;
    std::ranges::copy_if(cases, std::back_inserter(rows), [&](const Case& row) { return row.group == name; });
    const Case& worst = *std::ranges::max_element(rows, {}, severity);
    table.rows.push_back(
        {name, std::to_string(rows.size()), short_number(worst.error), limit_text(worst), place_text(worst)});
  }
  return table;
}

std::string failed_cases(const std::vector<Case>& cases) {
  std::string text;
  for (const Case& row : cases) {
    if (row.passed) continue;
    text += fmt::format("FAILED {}\n       error {}, limit {}", row.name, short_number(row.error),
                        limit_text(row));
    if (!row.worst_index.empty()) text += " at " + row.worst_index;
    text += (row.note.empty() ? "" : ": " + row.note) + "\n";
  }
  return text;
}

nlohmann::ordered_json json_of(const std::vector<Checked>& checked, std::uint64_t seed, std::int64_t passed,
                               std::int64_t failed) {
  nlohmann::ordered_json rules = nlohmann::ordered_json::array();
  for (const Checked& rule : checked) {
    nlohmann::ordered_json cases = nlohmann::ordered_json::array();
    for (const Case& row : rule.cases) {
      cases.push_back({{"name", row.name},
                       {"device", row.device},
                       {"dtype", row.dtype},
                       {"error", row.error},  // null where it is not finite
                       {"tolerance", row.tolerance},
                       {"worst_index", row.worst_index},
                       {"passed", row.passed}});
      if (!row.kernel.empty()) cases.back()["kernel"] = row.kernel;
      if (!row.passed) cases.back()["note"] = row.note;
    }
    rules.push_back({{"name", rule.rule}, {"cases", std::move(cases)}});
    if (!rule.left_out.empty()) rules.back()["left_out"] = rule.left_out;
  }
  return {{"seed", seed}, {"rules", std::move(rules)}, {"passed", passed}, {"failed", failed}};
}

Table case_table(const std::vector<Checked>& checked) {
  Table table{{{"rule"},
               {"name"},
               {"device"},
               {"dtype"},
               {"error", true},
               {"tolerance", true},
               {"worst_index"},
               {"passed"}},
              {}};
  for (const Checked& rule : checked) {
    for (const Case& row : rule.cases) {
      table.rows.push_back({rule.rule, row.name, row.device, row.dtype,
                            std::isfinite(row.error) ? shortest(row.error) : "", shortest(row.tolerance),
                            row.worst_index, row.passed ? "true" : "false"});
    }
  }
  return table;
}

bool is_file(const std::string& word) { return word.ends_with(".so") || word.find('/') != std::string::npos; }

}  // namespace

int rules_check(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab rules check [NAME | FILE.so]… [options]",
       .about =
           "Proves a rule: its recurrence against a float64 one, token by token, and its layer against itself in "
           "float64, token by token, and against finite differences. Prints a line a group of cases with the worst "
           "error, its limit and where it is, then every failure. Exit code 1 when a case failed. "
           "src/check/README.md says what each group proves. On a GPU: the recurrence on each of its kernels, what "
           "a kernel does not take, then the layers. With --kernel: the recurrence on that one.",
       .examples = "  mdnlab rules check\n"
                   "  mdnlab rules check mdn --seed 7\n"
                   "  mdnlab rules check build/my_rule.so --set forget=0.5\n"
                   "  mdnlab rules check gated_deltanet --json\n"
                   "  mdnlab rules check mdn --device cuda --kernel hopper\n"
                   "  mdnlab rules check --device cuda --level layer\n"});
  arguments.positional("NAME", "rules, or modules of your own; every rule when none is named", 0, -1);
  arguments.list("set KEY=VALUE", "an option of the rule, kept in every case");
  arguments.option("seed N", "of all that is drawn", "1");
  arguments.option("level LEVEL", "recurrence or layer; else both");
  arguments.option("kernel NAME", "of the device: cpu, batched, hopper; else on a GPU each");
  arguments.add_device(Device::cpu);
  arguments.add_plugins();
  arguments.add_formats();
  if (!arguments.parse(words)) return 0;
  const c10::Device device = arguments.device();
  const auto seed = static_cast<std::uint64_t>(arguments.integer("seed", 0));

  const Plugins plugins = arguments.plugins();
  std::list<Plugin> files;
  std::vector<const Plugin*> chosen;
  for (const std::string& word : arguments.texts("NAME"))
    chosen.push_back(is_file(word) ? &files.emplace_back(word) : &plugins.find(word));
  const bool all = chosen.empty();
  if (all) {
    for (const Plugin& plugin : plugins.all()) chosen.push_back(&plugin);
    for (const std::string& refusal : plugins.refusals()) warn("refused: " + refusal);
  }

  at::set_num_threads(1);  // thousands of small operations
  if (device.is_cuda()) make_gpu_deterministic();
  const bool prints_table = arguments.format() == TableFormat::plain;
  std::vector<Checked> checked;
  std::int64_t passed = 0, failed = 0;
  for (const Subject& subject : subjects_of(arguments, device)) {
    check::Suite suite(seed, subject.kernel, subject.layers);
    for (const Plugin* plugin : chosen) {
      if (!subject.layers && !plugin->info().capabilities.scans) continue;
      const auto start = std::chrono::steady_clock::now();
      const check::Verdict verdict = suite.check(*plugin, arguments.texts("set"));
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      checked.push_back({plugin->info().name, verdict.cases(), verdict.left_out()});
      const std::vector<Case>& cases = verdict.cases();
      const std::int64_t wrong = failures(cases);
      failed += wrong;
      passed += static_cast<std::int64_t>(cases.size()) - wrong;
      if (!prints_table) continue;
      print(fmt::format("{}{}, seed {}, {:.1f} s\n\n{}", plugin->info().name,
                        subject.place().empty() ? "" : ", " + subject.place(), seed, taken.count(),
                        cases.empty() ? "" : group_table(cases).text(TableFormat::plain)));
      for (const std::string& reason : verdict.left_out()) print("not taken: " + reason + "\n");
      print("\n" + failed_cases(cases) + (wrong > 0 ? "\n" : ""));
    }
  }
  if (arguments.has("json")) {
    print(json_of(checked, seed, passed, failed).dump(2) + "\n");
  } else if (arguments.has("csv")) {
    print(case_table(checked).text(TableFormat::csv));
  } else {
    print(fmt::format("{} cases passed, {} failed; seed {}\n", grouped(passed), grouped(failed), seed));
  }
  if (passed + failed == 0 && arguments.has("kernel")) {
    throw Error(Code::machine, {.what = "the kernel " + quote(arguments.text("kernel")) + " takes no case",
                                .hint = "without --kernel, each of the device's is checked"});
  }
  if (failed > 0) return static_cast<int>(Code::failed);
  return all && !plugins.refusals().empty() ? static_cast<int>(Code::machine) : 0;
}

}  // namespace mdnlab
