#include <fmt/format.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "interop/stored_model.h"
#include "run/open_model.h"

namespace mdnlab {

namespace {

void tell(const StoredModel& model, const std::string& output) {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : model.weights) count += tensor.numel();
  print(fmt::format("{}: {}, {} layers, hidden size {}, vocabulary {}, {} parameters in {} tensors\n", output,
                    model.spec.rule_text(), model.spec.layers.size(), model.spec.hidden_size(),
                    grouped(model.vocab_size), grouped(count), model.weights.size()));
}

int import_folder(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab import DIR -o CHECKPOINT [options]",
       .about =
           "Reads a model folder of flash-linear-attention or of the Momentum DeltaNet release (config.json and "
           "model.safetensors; model_type momentum_deltanet, gated_deltanet, kda, mamba2 or transformer, and "
           "hybrids by `attn`) and writes it as a checkpoint.",
       .examples =
           "  mdnlab import downloads/mdn-400M -o mdn-400M\n  mdnlab score mdn-400M --tokens ids.json\n"});
  arguments.positional("DIR", "the folder");
  arguments.option("output,o FOLDER", "the checkpoint, a new folder");
  arguments.add_plugins();
  if (!arguments.parse(words)) return 0;
  if (!arguments.has("output")) throw Error(Code::usage, {.what = "where to? -o CHECKPOINT is missing"});
  const StoredModel model = read_stored_model(arguments.text("DIR"), arguments.plugins());
  write_checkpoint(arguments.text("output"), model);
  tell(model, arguments.text("output"));
  return 0;
}

int export_model(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab export MODEL -o DIR [options]",
       .about =
           "Writes a model as a folder that flash-linear-attention (momentum_deltanet: the Momentum DeltaNet "
           "release) loads with from_pretrained. Refused, with its name, is what those layers cannot express.",
       .examples =
           "  mdnlab export run:3f2a -o mdn-small\n  mdnlab export mdnlab.runs/KEY/step-000000500 -o mdn-small\n"});
  arguments.positional("MODEL", "a checkpoint, a model folder, or run:KEYPREFIX");
  arguments.option("output,o FOLDER", "the model's folder, a new one");
  arguments.add_database();
  arguments.add_plugins();
  if (!arguments.parse(words)) return 0;
  if (!arguments.has("output")) throw Error(Code::usage, {.what = "where to? -o DIR is missing"});
  const Plugins plugins = arguments.plugins();
  const StoredModel model = open_model(arguments.text("MODEL"), arguments.database(), plugins);
  write_peer_model(arguments.text("output"), model, plugins);
  tell(model, arguments.text("output"));
  return 0;
}

}  // namespace

const Command import_command{"import", "another project's model folder as a checkpoint", import_folder};
const Command export_command{"export", "a model as another project's folder", export_model};

}  // namespace mdnlab
