// Metadata for a coverage-guided fuzzer: the input as a picture file of each format, and as the metadata of a .dcn file.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/container/metadata_section.h"
#include "codec/error.h"
#include "codec/metadata/embedding.h"
#include "codec/metadata/exif.h"

namespace {

using namespace decant;

// What was read can be set into a TIFF, which takes EXIF apart, and packed.
void pass_on(const Metadata& metadata) {
    unpack_metadata({{}, {pack_metadata(metadata)}, {}});
    std::vector<uint8_t> tiff = {'I', 'I', 42, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    Remarks remarks;
    embed_metadata(tiff, ImageFormat::tiff, metadata, 3, remarks);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    for (const ImageFormat format : {ImageFormat::png, ImageFormat::jpeg, ImageFormat::webp, ImageFormat::tiff}) {
        Remarks remarks;
        pass_on(read_metadata({data, size}, format, remarks));
    }
    try {
        pass_on(unpack_metadata({{}, {{kSectionMetadata, {data, data + size}}}, {}}));
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::limit) throw;
    }
    return 0;
}
