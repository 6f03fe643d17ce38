// Sequences of associative recall: D key–value pairs, U of the keys written again with another value, then
// each key once more somewhere in what follows; the label there is the value written last. Keys and values
// are drawn without replacement from {1 … V/2−1} and {V/2 … V−1}, the keys written again with replacement.
// With P = 2(D + U), and space = (L − P)/2 slots, D different slots x ∈ 1…space are drawn without replacement
// with weights ∝ a·x^(a−1); the query of a slot stands at P + 2(x−1) and its label at the same position. A
// separator at P, where wanted, moves queries by one. Everything else is filler.
#pragma once

#include <cstdint>
#include <string>

#include "base/random.h"
#include "config/params.h"

namespace mdnlab {

enum class Filler { zero, reserved, random };

struct Recall {
  std::int64_t vocabulary = 0;  // V
  std::int64_t length = 0;      // L
  std::int64_t pairs = 0;       // D
  std::int64_t updates = 0;     // U
  double power = 0;             // a
  Filler filler = Filler::reserved;
  bool separator = false;
};

// `vocabulary`, `power`, `filler` and `separator` of a task's options; sizes are the caller's.
Recall read_recall(const Params& options);

// V, the reserved fillers where they are used, the separator where there is one.
std::int64_t recall_vocab_size(const Recall& recall);

// Too few slots, keys or values for the pairs: Code::usage at the option `name`.
void check_recall(const Recall& recall, const Params& options, const char* name);

// A flat object of everything that fixes the sequences but their length, and `chance`.
std::string recall_settings(const Recall& recall, std::uint64_t seed);

// `tokens` are 0 and `labels` no_label before; both have recall.length places.
void write_recall(const Recall& recall, Random& random, std::int64_t* tokens, std::int64_t* labels);

// The options that the tasks of this family share.
inline constexpr Field recall_vocabulary_field{.name = "vocabulary",
                                               .type = Type::integer,
                                               .preset = "8192",
                                               .doc = "V: keys are below V/2, values above",
                                               .least = 4};
inline constexpr Field recall_length_field{.name = "length",
                                           .type = Type::integer,
                                           .preset = nullptr,
                                           .doc = "L: tokens of a sequence; train.seq_len when unset",
                                           .least = 4};
inline constexpr Field recall_power_field{.name = "power",
                                          .type = Type::real,
                                          .preset = "0.01",
                                          .doc = "a: small values put queries close to the pairs",
                                          .least = 1e-6,
                                          .most = 1};
inline constexpr Field recall_filler_field{
    .name = "filler",
    .type = Type::text,
    .preset = "reserved",
    .doc =
        "zero: id 0; reserved: 64 further ids V…V+63 at random; random: ids of the whole vocabulary at random, live keys among them",
    .choices = "zero|reserved|random"};
inline constexpr Field recall_separator_field{.name = "separator",
                                              .type = Type::boolean,
                                              .preset = "false",
                                              .doc = "a token of its own between the pairs and the queries"};

}  // namespace mdnlab
