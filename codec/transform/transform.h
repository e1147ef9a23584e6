// Pictures to latents and back, window by window: memory stays bounded and the result is that of the whole picture at once, since
// each window is run with as much of its surroundings as the network can see.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "codec/engine/any_graph.h"
#include "codec/filter/post_filter.h"
#include "codec/image/sample_view.h"

namespace decant {

// Latent positions of a picture: ceil(height/16) × ceil(width/16).
Area latent_area(uint64_t width, uint64_t height);
// With `margin` more positions on each side, as far as `whole` has them.
Area widened(const Area& area, int margin, const Area& whole);
// With at least that, and of the given size where `whole` is as large: areas of one size need one set of networks, and making one costs
// more than running it for several windows.
Area widened_to(const Area& area, int margin, const Area& whole, int h, int w);

// For one thread at a time.
class Transform {
public:
    // All must outlive this; `memory` is used while a function runs.
    Transform(const Description& description, CodecWeights& weights, SharedMemory& memory);

    // By how many latents, at least, a window is to be widened to what the network, and the filter behind the synthesis, reads for it: `seen`.
    static int analysis_margin(const Description& description);
    static int synthesis_margin(const Description& description);

    // The latents of `window`; row r of it goes to result + r · row_stride, as the network gives them. The picture is continued by
    // reflection to whole latents. A network for colours analyses gray as R = G = B; one for gray takes nothing else: Error invalid_argument.
    // Of a band, the rows of `seen` must be there.
    void analyse(const SampleView& picture, const Area& window, const Area& seen, float quality, float* result, size_t row_stride);

    // read(y, x, count, dst): `count` positions [count, M] from position (y, x) on, which a row of `seen` has, in multiples of
    // 2^-kLatentExponent.
    using ReadLatents = std::function<void(int y, int x, int count, int16_t* dst)>;
    // The pixels of `window`, as far as the target has them. Its channels: those of the network, or 1 for the mean of R, G and B; Error
    // invalid_argument for colours of a network for gray. Exact on every CPU if
    // the network runs in integers; 16 bits have 8 more of the same sums. filter: null for none; a network in floats goes without.
    void synthesise(const ReadLatents& read, const Area& window, const Area& seen, float quality, const PostFilter* filter, const SampleTarget& target);

    // Makes what synthesise needs for such an area; its first use costs more than many windows.
    void prepare_synthesis(const Area& seen);

private:
    AnyGraph& graph(const std::string& network, Shape input, DataType integers);  // valid until the next call: all graphs share their memory

    const Description& description_;
    CodecWeights& weights_;
    SharedMemory& memory_;
    std::map<std::tuple<std::string, Shape, DataType>, AnyGraph> graphs_;
    std::vector<int16_t> row_;
    PostFilter::Workspace filter_workspace_;
    AlignedBuffer filtered_;
};

}  // namespace decant
