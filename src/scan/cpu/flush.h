// Products of gates pass through the denormal range (below 1e-38), where each operation costs a hundred and
// no digit is left: while a kernel runs they are zero.
#pragma once

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace mdnlab::scan::cpu {
namespace {

#if defined(__SSE__)

class FlushDenormals {
 public:
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero); }
  ~FlushDenormals() { _mm_setcsr(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  const unsigned before_;
};

#else

struct FlushDenormals {
  FlushDenormals() {}  // other processors handle denormals at full speed
};

#endif

}  // namespace
}  // namespace mdnlab::scan::cpu
