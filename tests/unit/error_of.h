// The Error that a call must throw.
#pragma once

#include <gtest/gtest.h>

#include "base/error.h"

namespace mdnlab {

template <class Call>
Error error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error was thrown";
  return Error(Code::ok, "");
}

}  // namespace mdnlab
