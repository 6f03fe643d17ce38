#include <ATen/Context.h>
#include <ATen/Version.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/gpu.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "data/sentencepiece_tokenizer.h"
#include "run/machine.h"
#include "scan/cuda/table.h"
#include "scan/cuda_module.h"
#include "scan/implementation.h"
#include "store/network.h"

namespace mdnlab {

namespace {

struct Finding {
  std::string what, found, cure;  // cure empty: all is well
  bool is_needed = true;          // else only some experiments need it
};

std::string gpu_text(const Gpu& gpu) {
  return fmt::format("{}, compute capability {}, {}", gpu.name, capability_text(gpu.capability),
                     bytes_text(gpu.memory_mib << 20));
}

Finding gpu_finding() {
  const GpuFacts& facts = gpu_facts();
  if (!facts.trouble.empty()) {
    return {.what = "GPU",
            .found = "none: " + facts.trouble + "; runs use the CPU",
            .cure = "only for GPUs: an NVIDIA driver, and a GPU of compute capability " +
                    capability_text(scan::kLeastCapability) + " or more",
            .is_needed = false};
  }
  std::vector<std::string> names;
  bool is_new_enough = false;
  for (const Gpu& gpu : facts.gpus) {
    names.push_back(gpu_text(gpu));
    is_new_enough = is_new_enough || gpu.capability >= scan::kLeastCapability;
  }
  Finding finding{.what = "GPU", .found = join(names, "; ") + "; " + driver_text(facts), .is_needed = false};
  if (!is_new_enough)
    finding.cure =
        "too old: compute capability " + capability_text(scan::kLeastCapability) + " or more is needed";
  return finding;
}

// Only where there is a GPU are the libraries for it worth a word.
Finding kernels_finding() {
  Finding finding{.what = "CUDA kernels", .is_needed = false};
  if (!gpu_facts().trouble.empty()) {
    finding.found =
        std::filesystem::exists(scan::cuda_module().file) ? "built, not loaded: no GPU" : "not built";
    return finding;
  }
  const scan::CudaModule& module = scan::cuda_module();
  try {
    scan::require_cuda();
  } catch (const Error& error) {
    finding.found = "none";
    finding.cure = error.what();
    return finding;
  }
  if (!module.trouble.empty()) {
    finding.found = "batched matrix products; " + module.file;
    finding.cure = module.trouble;
  } else {
    finding.found = join(scan::implementation_names(at::kCUDA), ", ") +
                    fmt::format("; {} kernels of chunks in {}", scan::kernel_table().size(), module.file);
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
       .about =
           "Prints what this program runs on and with, what is missing and how to get it. Exit code 3 when something\n"
           "that it needs is missing, or the named --device cannot be used.",
       .examples = "  mdnlab doctor\n  mdnlab doctor --json\n  mdnlab doctor --device cuda\n"});
  arguments.add_device();
  arguments.add_database();
  arguments.add_plugins();
  arguments.flag("json", "print JSON");
  if (!arguments.parse(words)) return 0;
  arguments.device();
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
      gpu_finding(),
      kernels_finding(),
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
