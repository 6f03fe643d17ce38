/* The C entry of the module that stands between the program and libsentencepiece: the program needs the
   library only where a SentencePiece model is used. Plain C types, and no exception crosses. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MDNLAB_SENTENCEPIECE_VERSION 1

struct mdnlab_sentencepiece {
  int version; /* MDNLAB_SENTENCEPIECE_VERSION of the module; read before anything else */

  /* A model from the bytes of its file. Null: not possible, with the reason in `message`. Close it with
   * close. */
  void* (*open)(const char* bytes, size_t size, char* message, size_t message_capacity);
  void (*close)(void* model);

  int32_t (*vocab_size)(const void* model);
  int32_t (*end_of_text)(const void* model);                /* -1: none */
  int32_t (*token_bytes)(const void* model, int32_t token); /* of text; 0 for control and unknown tokens */

  /* 0, or -1 with the reason in `message`. The result is malloc'ed and the caller's, to free. */
  int (*encode)(const void* model, const char* text, size_t size, int32_t** tokens, size_t* count,
                char* message, size_t message_capacity);
  int (*decode)(const void* model, const int32_t* tokens, size_t count, char** text, size_t* size,
                char* message, size_t message_capacity);
};

/* The name of the one symbol: const struct mdnlab_sentencepiece* mdnlab_sentencepiece_entry(void) */
#define MDNLAB_SENTENCEPIECE_SYMBOL "mdnlab_sentencepiece_entry"
