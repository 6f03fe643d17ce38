#include "cli/model_words.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "base/text.h"
#include "cli/token_input.h"
#include "run/open_model.h"

namespace mdnlab {

void add_model_words(Arguments& arguments) {
  arguments.positional("MODEL", "a checkpoint, a model folder, or run:KEYPREFIX");
  arguments.option("tokenizer NAME", "byte, gpt2:FOLDER or sentencepiece:FILE; else the run's");
  arguments.option("dtype TYPE", "to compute in: f32, f64, bf16 or f16", "f32");
  arguments.option("threads N", "processor threads; as many as there are when not given");
  arguments.add_device();
  arguments.add_database();
  arguments.add_plugins();
}

ModelWords read_model_words(const Arguments& arguments) {
  const c10::Device device = arguments.device();
  const std::string dtype = arguments.text("dtype");
  const std::string dtypes[] = {"f32", "f64", "bf16", "f16"};
  if (std::ranges::find(dtypes, dtype) == std::end(dtypes)) {
    throw Error(Code::usage,
                {.what = "unknown dtype", .found = "--dtype " + dtype, .expected = join(dtypes, ", ")});
  }
  if (arguments.has("threads")) at::set_num_threads(static_cast<int>(arguments.integer("threads", 1)));
  at::globalContext().setFlushDenormal(true);
  Plugins plugins = arguments.plugins();
  StoredModel stored = open_model(arguments.text("MODEL"), arguments.database(), plugins);
  return {std::move(plugins), std::move(stored), dtype_of(dtype), device};
}

std::unique_ptr<const Tokenizer> read_tokenizer(const Arguments& arguments, const StoredModel& model) {
  return tokenizer_for(
      model, arguments.has("tokenizer") ? std::optional(arguments.text("tokenizer")) : std::nullopt);
}

}  // namespace mdnlab
