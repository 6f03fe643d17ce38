// The shapes of `rules bench`: how they are written, and which are timed when none is named.
#pragma once

#include <c10/core/Device.h>

#include <string>
#include <string_view>
#include <vector>

#include "check/scan_cost.h"

namespace mdnlab {

// "B8,T4096,H6,K128,V256", letters in any order and G for key heads at will, or "8,4096,6,128,256". Anything
// else is Code::usage.
ScanShape parse_shape(const std::string& text);
std::string shape_text(const ScanShape& shape);  // "8,4096,6,128,256"; with key heads of their own ",G1"

// On the CPU one small shape. On a GPU 32,768 tokens in the heads of published models, by rule.
std::vector<ScanShape> usual_shapes(std::string_view rule, c10::Device device);

// Causal softmax attention that the scans of these shapes are held against: 16 heads of 64 and of 128, in
// each batch and length.
std::vector<ScanShape> attention_shapes(const std::vector<ScanShape>& scans);

}  // namespace mdnlab
