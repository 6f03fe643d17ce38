#include "data/fields.h"

namespace mdnlab {

std::span<const Field> data_fields() {
  static constexpr Field fields[] = {
      {"path", Type::text, Field::required,
       "The text: a .txt file, a .jsonl file, a folder of both, or a packed .bin file; relative to the "
       "current "
       "directory or to this file."},
      {"tokenizer", Type::text, "byte", "`byte`, `gpt2:FOLDER` or `sentencepiece:FILE`."},
      {"split", Type::reals, "[0.9, 0.05, 0.05]",
       "Shares of the tokens for training, validation and test, in the order of the text; they sum to 1.", 0,
       1},
      {.name = "documents",
       .type = Type::text,
       .preset = "reset",
       .doc =
           "At a document's start: `reset` the states and cross it with no loss, or read on (`concatenate`).",
       .choices = "reset|concatenate"},
      {"text_field", Type::text, "text", "The key of the text in each line of a .jsonl file."},
  };
  return fields;
}

}  // namespace mdnlab
