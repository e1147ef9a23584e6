#include "codec/image/rows.h"

#include <algorithm>
#include <array>
#include <utility>

#include "codec/error.h"
#include "codec/image/png.h"
#include "codec/image/pnm.h"

namespace decant {
namespace {

constexpr size_t kMetadataLimit = 2 * kMaxMetadataBlock;  // of a file whose pixels are not read with it

}  // namespace

std::optional<PictureRows> open_rows(ByteAccess file, const std::string& name, const ReadOptions& options) {
    std::array<uint8_t, 64> head{};
    const std::span<uint8_t> begin(head.data(), size_t(std::min<uint64_t>(head.size(), file.size)));
    file.read(0, begin);
    const auto format = sniff_image_format(begin);
    PictureRows result;
    std::vector<uint8_t> without_pixels;
    if (format == ImageFormat::png) {
        without_pixels = png_without_pixels(file, kMetadataLimit);
        if (without_pixels.empty()) return std::nullopt;
        result.rows = open_png_rows(std::move(file), name, options, result.remarks);
    } else if (format == ImageFormat::pnm) {
        result.rows = open_pnm_rows(std::move(file), name, options);
    }
    if (result.rows == nullptr) return std::nullopt;
    result.metadata = read_picture_metadata(without_pixels, *format, result.rows->shape().channels, result.remarks);
    return result;
}

std::unique_ptr<RowWriter> make_row_writer(ImageFormat format, const Metadata& metadata, std::vector<std::string>& remarks, ByteSink sink,
                                           const WriteOptions& options) {
    const auto embed = [&metadata, &remarks, format](std::vector<uint8_t>& file, const PictureShape& shape) {
        embed_metadata(file, format, metadata, shape.channels, remarks);
    };
    if (format == ImageFormat::png) return make_png_writer(options.png_level, embed, std::move(sink));
    if (format == ImageFormat::pnm) return make_pnm_writer(embed, std::move(sink));
    return nullptr;
}

void DepthWriter::begin(const PictureShape& shape) {
    shape_ = shape;
    PictureShape to = shape;
    to.depth = depth_;
    rows_.begin(to);
}

void DepthWriter::write(const void* row) {
    if (shape_.depth == depth_) return rows_.write(row);
    const size_t samples = size_t{shape_.width} * size_t(shape_.channels);
    if (depth_ == 16) {
        const auto* from = static_cast<const uint8_t*>(row);
        row16_.resize(samples);
        for (size_t i = 0; i < samples; i++) row16_[i] = raised(from[i]);
        rows_.write(row16_.data());
    } else {
        const auto* from = static_cast<const uint16_t*>(row);
        row8_.resize(samples);
        for (size_t i = 0; i < samples; i++) row8_[i] = lowered(from[i]);
        rows_.write(row8_.data());
    }
}

}  // namespace decant
