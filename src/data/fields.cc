#include "data/fields.h"

namespace mdnlab {

std::span<const Field> data_fields() {
  static constexpr Field fields[] = {
      {.name = "path",
       .type = Type::text,
       .preset = Field::required,
       .doc = "a .txt or .jsonl file, a folder of both, or a packed .bin file; relative to the current "
              "directory or to the "
              "YAML file"},
      {.name = "tokenizer",
       .type = Type::text,
       .preset = "byte",
       .doc = "`byte`, `gpt2:FOLDER` or `sentencepiece:FILE`"},
      {.name = "split",
       .type = Type::reals,
       .preset = "[0.9, 0.05, 0.05]",
       .doc =
           "shares of the tokens for training, validation and test, in the order of the text; they sum to 1",
       .least = 0,
       .most = 1},
      {.name = "documents",
       .type = Type::text,
       .preset = "reset",
       .doc = "at a document's start, reset the states and cross it with no loss, or read on",
       .choices = "reset|concatenate"},
      {.name = "text_field",
       .type = Type::text,
       .preset = "text",
       .doc = "the key of the text in each line of a .jsonl file"}};
  return fields;
}

}  // namespace mdnlab
