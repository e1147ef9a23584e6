// The code of the Error that something throws.
#pragma once

#include <doctest/doctest.h>

#include "codec/error.h"

namespace decant::test {

template <class F>
ErrorCode error_of(F&& f) {
    try {
        f();
    } catch (const Error& error) {
        return error.code();
    }
    FAIL("no error");
    return ErrorCode::internal;
}

}  // namespace decant::test
