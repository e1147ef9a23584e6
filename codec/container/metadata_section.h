// The section "meta" of a .dcn file; container.h specifies it.
#pragma once

#include "codec/container/container.h"
#include "codec/metadata/metadata.h"

namespace decant {

// Throws Error(invalid_argument) for a block of more than kMaxMetadataBlock bytes, or a resolution that is not valid.
Section pack_metadata(const Metadata& metadata);

// What the container holds; empty if it holds none. Nothing is allocated on the word of a file: not more than 32768 times what is
// there, which is as far as Zstandard goes, and not more than 64 MiB. Throws Error: corrupt, limit.
Metadata unpack_metadata(const Container& container);

// Bytes that the metadata take in the file, with what surrounds the section.
std::size_t packed_metadata_size(const Container& container);

}  // namespace decant
