// A .jsonl file of documents: texts that are not empty, as many as lines at most.
#include <algorithm>

#include "data/jsonl.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mdnlab;
  const std::string_view content(reinterpret_cast<const char*>(data), size);
  std::ptrdiff_t documents = 0;
  read_or_refuse([&] {
    read_jsonl(content, "fuzz", "text", [&](std::string_view text) {
      require(!text.empty(), "an empty document");
      ++documents;
    });
  });
  require(documents <= 1 + std::ranges::count(content, '\n'), "more documents than lines");
  return 0;
}
