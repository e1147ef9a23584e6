// Pictures that belong together by their names.
#pragma once

#include <string>
#include <vector>

#include "tools/decant/inputs.h"

namespace decant::cli {

struct Pair {
    Input reference;
    std::string partner;  // empty: reference.problem says why
};

struct Pairing {
    std::vector<Pair> pairs;    // one a reference, in their order
    std::vector<Input> others;  // candidates that no reference took, with the problem of each
};

// Of two lists of pictures those with the same name below their folders, extensions aside. A reference without a partner gets a
// problem that says so; candidates that cannot be listed, have no reference, or have the name of an earlier one are left as others.
Pairing pair_by_name(const std::vector<Input>& references, const std::vector<Input>& candidates,
                     const std::string& candidates_name);

}  // namespace decant::cli
