// Pictures that pass row by row, so that one larger than the memory can be worked on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/image/format.h"
#include "codec/image/image.h"
#include "codec/image/reader.h"
#include "codec/image/writer.h"

namespace decant {

struct PictureShape {
    uint32_t width = 0, height = 0;
    int channels = 0;  // 1 gray, 3 RGB
    int depth = 8;     // bits a sample, 8 or 16

    size_t row_bytes() const { return size_t{width} * size_t(channels) * size_t(depth / 8); }
    uint64_t pixel_count() const { return uint64_t{width} * height; }
    bool operator==(const PictureShape&) const = default;
};

inline PictureShape shape_of(const Image& image) { return {image.width, image.height, image.channels, image.depth()}; }

// Gives rows from the top to the bottom, samples as in Image. By one thread at a time, not always the same one.
class RowReader {
public:
    virtual ~RowReader() = default;

    virtual PictureShape shape() const = 0;
    // The next row, shape().row_bytes() bytes; to be called `height` times. Throws Error, such as corrupt where a file ends early.
    virtual void read(void* row) = 0;
};

// Takes rows in the same way.
class RowWriter {
public:
    virtual ~RowWriter() = default;

    // Called once, before the first row, as soon as what is to come is sure to be a picture.
    virtual void begin(const PictureShape& shape) = 0;
    virtual void write(const void* row) = 0;
};

// Bytes of a file, wherever they are wanted.
struct ByteAccess {
    uint64_t size = 0;
    // Fills `target` with the bytes from `offset` on, which the file has. May throw.
    std::function<void(uint64_t offset, std::span<uint8_t> target)> read;
};

struct PictureRows {
    std::unique_ptr<RowReader> rows;
    Metadata metadata;
    std::vector<std::string> remarks;  // as in Picture
};

// Opens a picture of which rows can be had one after the other: PNG that is neither interlaced nor transparent, PPM and PGM of 8 or 16
// full bits. Everything comes as read_picture gives it; make_room of the options is not called. None: it has to be read as a whole, which
// also says what is wrong with it, if anything is. Throws Error limit, or corrupt for a damaged header; reading throws corrupt.
std::optional<PictureRows> open_rows(ByteAccess file, const std::string& name, const ReadOptions& options = {});

// Takes the bytes of a file as they come. May throw.
using ByteSink = std::function<void(std::span<const uint8_t>)>;

// Writes a picture as encode_picture does, PNG, PPM or PGM; null for other formats. Metadata that the format cannot hold are remarked
// on when the picture begins; the file is whole after its last row.
std::unique_ptr<RowWriter> make_row_writer(ImageFormat format, const Metadata& metadata, std::vector<std::string>& remarks, ByteSink sink,
                                           const WriteOptions& options = {});

// Raises or reduces rows to another depth, as with_depth does.
class DepthWriter : public RowWriter {
public:
    DepthWriter(RowWriter& rows, int depth) : rows_(rows), depth_(depth) {}
    void begin(const PictureShape& shape) override;
    void write(const void* row) override;

private:
    RowWriter& rows_;
    int depth_;
    PictureShape shape_;
    std::vector<uint8_t> row8_;
    std::vector<uint16_t> row16_;
};

}  // namespace decant
