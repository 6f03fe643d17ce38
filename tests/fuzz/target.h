// What a fuzz target is: libFuzzer's entry, and the one failure that a reader may have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace mdnlab {

// Runs a reader on malformed input: it succeeds, or throws an Error with Code::usage that says what is wrong. Any other
// exception leaves the target, which is a crash.
template <class Read>
void read_or_refuse(Read read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.code() != Code::usage || error.text().what.empty()) throw std::logic_error(error.what());
  }
}

// Of what a reader has accepted.
inline void require(bool promise, const char* what) {
  if (!promise) throw std::logic_error(what);
}

}  // namespace mdnlab
