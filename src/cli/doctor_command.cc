#include <ATen/Context.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "data/sentencepiece_tokenizer.h"
#include "run/machine.h"
#include "store/network.h"

namespace mdnlab {

namespace {

struct Finding {
  std::string what, found, cure;  // cure empty: all is well
  bool is_needed = true;          // else only some experiments need it
};

Finding cuda_finding() {
  Finding finding{.what = "CUDA", .found = "not available: runs use the CPU", .is_needed = false};
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
    finding.cure = "only for GPUs: an NVIDIA driver, and the CUDA libraries that LibTorch needs";
  } else if (at::hasCUDA()) {
    finding.found = "libraries loaded";
  }
  return finding;
}

Finding plugin_finding(const Plugins& plugins) {
  std::vector<std::string> names;
  for (const Plugin& plugin : plugins.all()) names.emplace_back(plugin.info().name);
  Finding finding{.what = "rules", .found = join(names, ", ")};
  if (names.empty()) {
    finding.found = "none";
    finding.cure = "build them (ninja -C build), or name their folder in MDNLAB_PLUGIN_PATH";
  }
  for (const std::string& refusal : plugins.refusals())
    finding.cure += (finding.cure.empty() ? "" : "; ") + ("refused: " + refusal);
  return finding;
}

Finding sentencepiece_finding() {
  Finding finding{.what = "SentencePiece", .found = "available", .is_needed = false};
  try {
    open_sentencepiece();
  } catch (const Error& error) {
    finding.found = "not available";
    finding.cure = error.what();
  }
  return finding;
}

Finding folder_finding(const std::filesystem::path& database) {
  const std::filesystem::path folder = std::filesystem::absolute(database).parent_path();
  const std::string network = network_file_system(folder);
  Finding finding{.what = "database folder",
                  .found = folder.string() + (network.empty() ? "" : " (" + network + ")")};
  if (!network.empty())
    finding.cure = "a write-ahead log is not safe there: use --db with a local file, and `mdnlab merge`";
  return finding;
}

int run(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab doctor [options]",
       .about = "Prints what this program runs on and with, what is missing and how to get it.",
       .examples = "  mdnlab doctor\n  mdnlab doctor --json\n"});
  arguments.add_database();
  arguments.add_plugins();
  arguments.flag("json", "print JSON");
  if (!arguments.parse(words)) return 0;
  const MachineFacts machine = machine_facts();
  const BuildFacts build = build_facts();
  const std::vector<Finding> findings{
      {"mdnlab",
       build.version + (build.git_commit.empty() ? "" : " (" + build.git_commit + ")") + ", " +
           build.compiler,
       {}},
      {"LibTorch", build.libtorch, {}},
      {"SQLite", sqlite3_libversion(), {}},
      {"system", machine.system, {}},
      {"processor",
       fmt::format("{}, {} cores, {}", machine.cpu, machine.cpu_cores, bytes_text(machine.memory_mib << 20)),
       {}},
      {"vector unit", at::get_cpu_capability(), {}},
      cuda_finding(),
      plugin_finding(arguments.plugins()),
      sentencepiece_finding(),
      folder_finding(arguments.database())};
  bool well = true;
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  std::string text;
  for (const Finding& finding : findings) {
    well = well && (finding.cure.empty() || !finding.is_needed);
    json.push_back({{"what", finding.what}, {"found", finding.found}, {"missing", finding.cure}});
    text += fmt::format("{:<16} {}\n", finding.what, finding.found);
    if (!finding.cure.empty()) text += fmt::format("{:<16} → {}\n", "", finding.cure);
  }
  print(arguments.has("json") ? json.dump(2) + "\n" : text);
  return well ? 0 : static_cast<int>(Code::machine);
}

}  // namespace

const Command doctor_command{"doctor", "print devices, libraries, versions and what is missing", run};

}  // namespace mdnlab
