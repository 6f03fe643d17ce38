// What is known of NVIDIA's cards for training, beside what a driver tells.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "run/training_memory.h"

namespace mdnlab {

// Dense bf16 products at the boost clock, FLOP a second, by the driver's name of the card ("NVIDIA H200"),
// from NVIDIA's data sheets. A card that is not in the table: nullopt.
std::optional<double> dense_bf16_flops(std::string_view gpu_name);

// Which of the cards that our kernels are for hold it: "one H100 (79 GiB) or H200 (140 GiB)", or how many of
// them that share what training keeps from step to step.
std::string cards_text(const TrainingMemory& memory);

}  // namespace mdnlab
