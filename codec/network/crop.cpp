#include "codec/network/crop.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "codec/error.h"

namespace decant {
namespace {

// The network so far, and the stage of each of its values.
struct Builder {
    CroppedNetwork result;
    std::vector<std::pair<int, int>> crops;  // from which stage to which
    std::map<std::string, int> stage{{"input", 0}};
    int stages = 1;

    // A layer that cuts `value` down to a stage.
    std::string crop(const std::string& value, const std::string& reader, int to) {
        Layer layer;
        layer.name = "crop for " + reader;
        layer.op = Operation::crop;
        layer.input = value;
        crops.emplace_back(stage.at(value), to);
        stage[layer.name] = to;
        result.network.layers.push_back(layer);
        return result.network.layers.back().name;
    }
};

}  // namespace

CroppedNetwork with_crops(const Network& network, int start, int margin) {
    Builder b;
    b.result.network.name = network.name;
    b.result.network.channels_in = network.channels_in;
    const Layer* last = last_convolution(network);
    std::string before = "input";
    for (const Layer& original : network.layers) {
        Layer layer = original;
        if (layer.input.empty()) layer.input = before;
        // Behind the last convolution there is nothing to save.
        if (layer.op != Operation::convolution && layer.input != "input" && &original < last) layer.input = b.crop(layer.input, layer.name, b.stages++);
        const int own = b.stage.at(layer.input);
        if (!layer.add.empty() && b.stage.at(layer.add) < own) layer.add = b.crop(layer.add, layer.name + "'s addend", own);
        if (!layer.add.empty() && b.stage.at(layer.add) > own) return {network, {}, {margins_of(plan(network, {1, 64, 64, network.channels_in}), start, margin).front()}};
        b.stage[layer.name] = own;
        b.result.network.layers.push_back(layer);
        before = layer.name;
    }

    const std::vector<PlannedLayer> layers = plan(b.result.network, {1, 64, 64, network.channels_in});
    const std::vector<int> widths = position_widths(layers, start), needed = margins_of(layers, start, margin);
    b.result.margins.assign(size_t(b.stages), 0);
    b.result.margins[0] = needed[0];
    for (size_t i = 0; i < layers.size(); i++) {
        if (layers[i].layer->op != Operation::crop) continue;
        const auto& [from, to] = b.crops[b.result.crops.size()];
        b.result.crops.push_back({from, to, widths[i + 1]});
        b.result.margins[size_t(to)] = std::max(b.result.margins[size_t(to)], needed[i + 1]);
    }
    for (size_t s = b.result.margins.size() - 1; s-- > 0;) b.result.margins[s] = std::max(b.result.margins[s], b.result.margins[s + 1]);
    return b.result;
}

bool same_sizes(std::span<const Area> windows, std::span<const Area> others) {
    return std::ranges::equal(windows, others, [](const Area& a, const Area& b) { return a.h == b.h && a.w == b.w; });
}

void check_moved(std::span<const Area> before, std::span<const Area> after) {
    const bool lie_inside = std::ranges::all_of(after, [](const Area& a) { return a.y >= 0 && a.x >= 0; });
    if (!same_sizes(before, after) || !lie_inside) throw Error(ErrorCode::internal, "crops of other sizes than those that a graph was made for");
}

std::vector<Area> CroppedNetwork::windows(const std::vector<Area>& areas, int unit) const {
    std::vector<Area> result;
    for (const Crop& crop : crops) {
        const Area &from = areas[size_t(crop.from)], &to = areas[size_t(crop.to)];
        const int scale = unit / crop.position;
        result.push_back({(to.y - from.y) * scale, (to.x - from.x) * scale, to.h * scale, to.w * scale});
    }
    return result;
}

}  // namespace decant
