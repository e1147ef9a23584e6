// The description as a part of a larger JSON file.
#pragma once

#include "codec/network/description.h"
#include "codec/network/json_document.h"

namespace decant {

Description read_description(const JsonDocument& document);  // as parse_description, which reads one that is a part of another file

}  // namespace decant
