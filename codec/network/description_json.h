// The description as a part of a larger JSON file.
#pragma once

#include "codec/network/description.h"
#include "codec/network/json_document.h"

namespace decant {

// As parse_description; errors begin with a path, which JsonDocument::located finds. A member "training" is passed over.
Description read_description(const OrderedJson& root);

}  // namespace decant
