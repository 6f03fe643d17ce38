// MODEL on the command line, and how it computes: what every command on a stored model takes.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "cli/arguments.h"
#include "data/tokenizer.h"
#include "interop/stored_model.h"

namespace mdnlab {

// MODEL, --tokenizer, --dtype, --threads, --device, --db, --plugin.
void add_model_words(Arguments& arguments);

struct ModelWords {
  Plugins plugins;
  StoredModel stored;
  at::ScalarType dtype;
  c10::Device device;

  LanguageModel build() const { return build_model(stored, plugins, dtype, device); }
};

// Opens MODEL (run/open_model.h) and sets the threads of this process. A dtype that is none, or a device that
// is not there: an Error before anything is read.
ModelWords read_model_words(const Arguments& arguments);

// The one of the model's text: tokenizer_for (token_input.h).
std::unique_ptr<const Tokenizer> read_tokenizer(const Arguments& arguments, const StoredModel& model);

}  // namespace mdnlab
