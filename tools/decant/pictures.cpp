#include "tools/decant/pictures.h"

#include <filesystem>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "codec/image/metrics.h"
#include "codec/image/writer.h"
#include "codec/io/file.h"
#include "tools/decant/failure.h"

namespace decant::cli {

PictureFile read_picture(const std::string& path, uint64_t max_pixels, const std::function<void(uint64_t, int)>& make_room) {
    const std::vector<uint8_t> bytes = read_file(path);
    return in_picture([&] { return PictureFile{decant::read_picture(bytes, input_name(path), {max_pixels, make_room}), bytes.size()}; });
}

std::optional<PictureRowsFile> open_picture_rows(const std::string& path, uint64_t max_pixels) {
    std::optional<FileReader> opened = FileReader::open(path);
    if (!opened) return std::nullopt;
    const auto file = std::make_shared<FileReader>(std::move(*opened));
    const ByteAccess access{file->size(), [file](uint64_t offset, std::span<uint8_t> target) { file->read(offset, target); }};
    return in_picture([&]() -> std::optional<PictureRowsFile> {
        auto rows = open_rows(access, input_name(path), {max_pixels, {}});
        if (!rows) return std::nullopt;
        return PictureRowsFile{std::move(*rows), file->size()};
    });
}

PictureFile read_opaque_picture(const std::string& path, uint64_t max_pixels,
                                const std::function<void(uint64_t, int)>& make_room) {
    PictureFile picture = read_picture(path, max_pixels, make_room);
    if (picture.alpha)
        throw Error(ErrorCode::unsupported, input_name(path) + ": has transparent pixels, whose colours mean nothing here; flatten "
                                                               "the picture onto a background first");
    return picture;
}

namespace {

ImageFormat named_format(const Settings& settings) {
    if (!settings.format.empty()) return parse_image_format(settings.format);
    if (!std::filesystem::path(settings.output).has_extension()) return ImageFormat::png;
    if (const auto format = format_from_extension(settings.output)) return *format;
    throw Error(ErrorCode::invalid_argument,
                "--output " + settings.output + ": the extension stands for no picture format; add --format");
}

}  // namespace

ImageFormat output_format(const Settings& settings) {
    const ImageFormat format = named_format(settings);
    output_depth(settings, format, 8);  // refuses --depth 16 where it cannot be had, whatever the pictures are
    return format;
}

int output_depth(const Settings& settings, ImageFormat format, int stored) {
    const int depth = settings.depth.empty() ? stored : settings.depth == "16" ? 16 : 8;
    check_format_depth(format, depth);
    return depth;
}

Metadata carried(Metadata metadata, const Settings& settings, FileReport& report) {
    const int orientation = orientation_of(metadata);
    metadata = select(std::move(metadata), settings.metadata);
    if (orientation_of(metadata) != orientation)
        report.notes.push_back("its orientation (" + std::to_string(orientation) +
                               " of 8) is left out with its EXIF; it will be shown as it is stored");
    return metadata;
}

std::vector<uint8_t> encode_picture(const Picture& picture, ImageFormat format, FileReport& report) {
    EncodedPicture encoded = decant::encode_picture(picture, format);
    report.notes.insert(report.notes.end(), encoded.remarks.begin(), encoded.remarks.end());
    return std::move(encoded.bytes);
}

double bits_per_pixel(uint64_t bytes, const Image& image) {
    return static_cast<double>(bytes) * 8 / static_cast<double>(image.pixel_count());
}

double ms_ssim_or_nan(const Image& a, const Image& b) {
    try {
        return ms_ssim(a, b);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::unsupported) return std::numeric_limits<double>::quiet_NaN();
        throw;
    }
}

}  // namespace decant::cli
