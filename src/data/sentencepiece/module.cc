#include <sentencepiece_processor.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "data/sentencepiece/entry.h"

namespace {

using Model = sentencepiece::SentencePieceProcessor;

const Model& as_model(const void* model) { return *static_cast<const Model*>(model); }

void require(const sentencepiece::util::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

// Runs `work`; an exception becomes `failed` and a message.
template <class Result, class Work>
Result guarded(char* message, size_t capacity, Result failed, Work work) noexcept {
  try {
    return work();
  } catch (const std::exception& error) {
    std::snprintf(message, capacity, "%s", error.what());
  } catch (...) {
    std::snprintf(message, capacity, "%s", "an unknown failure");
  }
  return failed;
}

template <class Element>
Element* copied(const Element* from, size_t count) {
  void* memory = std::malloc(std::max<size_t>(1, count * sizeof(Element)));
  if (!memory) throw std::bad_alloc();
  if (count > 0) std::memcpy(memory, from, count * sizeof(Element));
  return static_cast<Element*>(memory);
}

void* open(const char* bytes, size_t size, char* message, size_t capacity) {
  return guarded<void*>(message, capacity, nullptr, [&] {
    auto model = std::make_unique<Model>();
    require(model->LoadFromSerializedProto({bytes, size}));
    return model.release();
  });
}

void close(void* model) { delete static_cast<Model*>(model); }

int32_t vocab_size(const void* model) { return as_model(model).GetPieceSize(); }

int32_t end_of_text(const void* model) { return as_model(model).eos_id(); }

int32_t token_bytes(const void* model, int32_t token) noexcept {
  const Model& processor = as_model(model);
  if (processor.IsControl(token) || processor.IsUnknown(token) || processor.IsUnused(token)) return 0;
  if (processor.IsByte(token)) return 1;
  const std::string& piece = processor.IdToPiece(token);
  constexpr std::string_view space = "\xe2\x96\x81";  // U+2581 stands for a space
  auto bytes = static_cast<int32_t>(piece.size());
  for (size_t at = piece.find(space); at != std::string::npos; at = piece.find(space, at + space.size())) {
    bytes -= static_cast<int32_t>(space.size()) - 1;
  }
  return bytes;
}

int encode(const void* model, const char* text, size_t size, int32_t** tokens, size_t* count, char* message,
           size_t capacity) {
  return guarded(message, capacity, -1, [&] {
    std::vector<int> ids;
    require(as_model(model).Encode(std::string_view(text, size), &ids));
    *tokens = copied<int32_t>(ids.data(), ids.size());
    *count = ids.size();
    return 0;
  });
}

int decode(const void* model, const int32_t* tokens, size_t count, char** text, size_t* size, char* message,
           size_t capacity) {
  return guarded(message, capacity, -1, [&] {
    std::string decoded;
    require(as_model(model).Decode(std::vector<int>(tokens, tokens + count), &decoded));
    *text = copied(decoded.data(), decoded.size());
    *size = decoded.size();
    return 0;
  });
}

constexpr mdnlab_sentencepiece entry = {
    MDNLAB_SENTENCEPIECE_VERSION, open, close, vocab_size, end_of_text, token_bytes, encode, decode};

}  // namespace

extern "C" __attribute__((visibility("default"))) const mdnlab_sentencepiece* mdnlab_sentencepiece_entry() {
  return &entry;
}
