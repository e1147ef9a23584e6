#include <filesystem>
#include <functional>

#include "codec/container/alpha_section.h"
#include "codec/container/metadata_section.h"
#include "codec/decant.h"
#include "codec/io/file.h"
#include "codec/residual/residual_coder.h"
#include "codec/train/recipe.h"
#include "tools/decant/console.h"
#include "tools/decant/json.h"
#include "tools/decant/text.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

// The kinds with their sizes in bytes, and what they say that matters everywhere.
Json json_of(const Metadata& metadata, size_t packed_size) {
    if (packed_size == 0) return nullptr;
    Json json{{"bytes", packed_size}};
    if (!metadata.icc.empty()) json["icc"] = metadata.icc.size();
    if (!metadata.exif.empty()) json["exif"] = metadata.exif.size();
    if (!metadata.xmp.empty()) json["xmp"] = metadata.xmp.size();
    if (!metadata.exif.empty()) json["orientation"] = orientation_of(metadata);
    if (metadata.resolution) json["resolution"] = describe(*metadata.resolution);
    return json;
}

void show_container(const std::string& path, std::span<const uint8_t> bytes, const Settings& settings) {
    // Nothing is decoded, so no number of pixels is too large.
    const Container container = parse_container(bytes, {UINT64_MAX});
    const Metadata metadata = unpack_metadata(container);
    const size_t metadata_size = packed_metadata_size(container), alpha_size = packed_alpha_size(container);
    const Header& header = container.header;
    const Section* residual = find_section(container, kSectionResidual);
    const Json max_error = residual != nullptr ? Json(residual_bound(residual->payload)) : Json();
    const double pixels = static_cast<double>(header.width) * header.height;
    const double bpp = static_cast<double>(bytes.size()) * 8 / pixels;
    const double ratio = pixels * header.channels * header.depth / 8 / static_cast<double>(bytes.size());
    if (settings.json) {
        print(to_line({{"file", path},
                       {"kind", "picture"},
                       {"model", hexadecimal(header.model)},
                       {"width", header.width},
                       {"height", header.height},
                       {"channels", header.channels},
                       {"depth", header.depth},
                       {"rate_point", static_cast<double>(header.quality) / 256},
                       {"filter", header.filter != 0 ? Json(header.filter) : Json()},
                       {"tiles", container.tiles.size()},
                       {"bytes", bytes.size()},
                       {"bpp", bpp},
                       {"ratio", ratio},
                       {"max_error", max_error},
                       {"alpha", alpha_size > 0 ? Json(alpha_size) : Json()},
                       {"metadata", json_of(metadata, metadata_size)}}));
        return;
    }
    std::string text = path + "\n";
    const auto line = [&](const std::string& name, const std::string& value) { text += "  " + left(name, 16) + value + "\n"; };
    for (const auto& [name, value] : describe_container(container)) line(name, value);
    if (residual != nullptr) line("largest error", max_error == 0 ? "0: lossless" : max_error.dump());
    if (alpha_size > 0) line("alpha", count_of(alpha_size, "byte"));
    if (!metadata.icc.empty()) line("ICC profile", count_of(metadata.icc.size(), "byte"));
    if (!metadata.exif.empty())
        line("EXIF", count_of(metadata.exif.size(), "byte") + ", orientation " + std::to_string(orientation_of(metadata)));
    if (!metadata.xmp.empty()) line("XMP", count_of(metadata.xmp.size(), "byte"));
    if (metadata.resolution) line("resolution", describe(*metadata.resolution));
    line("bytes", std::to_string(bytes.size()));
    line("bits a pixel", fixed(bpp, 3));
    line("raw : file", fixed(ratio, 1) + " : 1");
    print(text);
}

constexpr int kSide = 64;  // of the picture that shapes are shown for; the least one that all networks divide

// Which of the two directions runs a network, and at which resolution it reads.
struct Role {
    bool encodes = true, decodes = true;
    int stride = kLatentStride;
};

Role role_of(const Description& description, const Network& network) {
    if (description.task == Task::denoise) return {false, false, 1};
    if (description.task == Task::autoencoder && network.name == kEncoderNetwork) return {true, false, 1};
    if (description.task == Task::autoencoder) return {false, true, code_stride(description)};
    if (network.name == "analysis") return {true, false, 1};
    if (network.name == "synthesis") return {false, true, kLatentStride};
    if (network.name == "hyper_analysis") return {true, false, kLatentStride};
    if (network.name == "hyper_synthesis") return {true, true, kLatentStride * kHyperStride};
    return {};
}

std::vector<PlannedLayer> plan_for_picture(const Description& description, const Network& network) {
    const int side = kSide / role_of(description, network).stride;
    return plan(network, {1, side, side, network.channels_in});
}

double kmac_per_pixel(int64_t multiplications) { return static_cast<double>(multiplications) / (kSide * kSide) / 1000; }

struct Cost {
    int64_t multiplications = 0, parameters = 0;
};

Cost cost_of(const Description& description, const Network& network) {
    Cost cost;
    for (const PlannedLayer& layer : plan_for_picture(description, network)) {
        cost.multiplications += layer.multiplications();
        cost.parameters += layer.parameters(description.levels());
    }
    return cost;
}

Cost cost_where(const Description& description, const std::function<bool(const Role&)>& wanted) {
    Cost sum;
    for (const Network& network : description.networks) {
        if (!wanted(role_of(description, network))) continue;
        const Cost cost = cost_of(description, network);
        sum.multiplications += cost.multiplications;
        sum.parameters += cost.parameters;
    }
    return sum;
}

struct Totals {
    Cost all, encoder, decoder;
};

Totals totals_of(const Description& description) {
    return {cost_where(description, [](const Role&) { return true; }),
            cost_where(description, [](const Role& role) { return role.encodes; }),
            cost_where(description, [](const Role& role) { return role.decodes; })};
}

const char* operation_name(const Layer& layer) {
    switch (layer.op) {
        case Operation::convolution:
            return "conv";
        case Operation::unshuffle:
            return "unshuffle";
        case Operation::crop:
            return "crop";
        case Operation::shuffle:
            break;
    }
    return "shuffle";
}

// "conv 3x3 / 2", "shuffle 2".
std::string describe(const Layer& layer) {
    const std::string name = operation_name(layer);
    if (layer.op != Operation::convolution) return name + " " + std::to_string(layer.factor);
    const std::string side = std::to_string(layer.kernel);
    return name + " " + side + "x" + side + (layer.stride > 1 ? " / " + std::to_string(layer.stride) : "");
}

std::string shape_text(const Shape& shape) {
    return std::to_string(shape.h) + "x" + std::to_string(shape.w) + "x" + std::to_string(shape.c);
}

std::string in_kmac(int64_t multiplications) { return fixed(kmac_per_pixel(multiplications), 3); }

// A model, or the recipe of one.
struct Described {
    std::string path, kind, identity;  // a recipe has none
    Description description;
    std::vector<std::pair<std::string, std::string>> metadata;
};

void print_model(const Described& model) {
    const Description& description = model.description;
    std::string text = model.path + "\n";
    const auto line = [&](const std::string& name, const std::string& value) { text += "  " + left(name, 16) + value + "\n"; };
    std::string lambdas;
    for (const double lambda : description.lambda) lambdas += (lambdas.empty() ? "" : ", ") + plain(lambda);
    line("name", description.name);
    if (!model.identity.empty()) line("identity", model.identity);
    const bool is_codec = description.task == Task::codec;
    if (is_codec) line("rate points", std::to_string(description.levels()) + ", lambda " + lambdas);
    if (description.serves) line("serves", "rate points " + std::to_string(description.first_level()) + " to " + std::to_string(description.last_level()) + ", counted from 0");
    if (!description.companion.empty()) line("companion", description.companion);
    if (!description.gray.empty()) line("gray", description.gray);
    if (is_codec)
        line("latents", std::to_string(description.latent_channels) + " channels at 1/16, " +
                            std::to_string(description.hyper_channels) + " at 1/64");
    for (const auto& [key, value] : model.metadata) line(key, value);

    for (const Network& network : description.networks) {
        text += "\n";
        Table table({network.name, "", "output for 64x64", "parameters", "kMAC/pixel"});
        table.align_left(1);
        for (const PlannedLayer& layer : plan_for_picture(description, network))
            table.add({"  " + layer.layer->name, describe(*layer.layer), shape_text(layer.dst_shape),
                       std::to_string(layer.parameters(description.levels())), in_kmac(layer.multiplications())});
        const Cost cost = cost_of(description, network);
        table.add({"  sum", "", "", std::to_string(cost.parameters), in_kmac(cost.multiplications)});
        text += table.text();
    }
    const Totals totals = totals_of(description);
    Table table({"total", "parameters", "kMAC/pixel"});
    const bool has_decoder = description.task != Task::denoise;
    if (has_decoder) table.add({"  encoder", std::to_string(totals.encoder.parameters), in_kmac(totals.encoder.multiplications)});
    if (has_decoder) table.add({"  decoder", std::to_string(totals.decoder.parameters), in_kmac(totals.decoder.multiplications)});
    table.add({"  model", std::to_string(totals.all.parameters), has_decoder ? "" : in_kmac(totals.all.multiplications)});
    print(text + "\n" + table.text());
}

void print_model_json(const Described& model) {
    const Description& description = model.description;
    Json networks = Json::array();
    for (const Network& network : description.networks) {
        Json layers = Json::array();
        for (const PlannedLayer& layer : plan_for_picture(description, network)) {
            const Shape& shape = layer.dst_shape;
            layers.push_back({{"name", layer.layer->name},
                              {"operation", operation_name(*layer.layer)},
                              {"output", {shape.h, shape.w, shape.c}},
                              {"parameters", layer.parameters(description.levels())},
                              {"kmac_per_pixel", kmac_per_pixel(layer.multiplications())}});
        }
        const Cost cost = cost_of(description, network);
        networks.push_back({{"name", network.name},
                            {"parameters", cost.parameters},
                            {"kmac_per_pixel", kmac_per_pixel(cost.multiplications)},
                            {"layers", std::move(layers)}});
    }
    Json metadata = Json::object();
    for (const auto& [key, value] : model.metadata) metadata[key] = value;
    const Totals totals = totals_of(description);
    Json line{{"file", model.path}, {"kind", model.kind}, {"name", description.name}};
    if (!model.identity.empty()) line["identity"] = model.identity;
    const bool is_codec = description.task == Task::codec;
    if (is_codec) {
        line["lambda"] = description.lambda;
        line["serves"] = {description.first_level(), description.last_level()};
        if (!description.companion.empty()) line["companion"] = description.companion;
        if (!description.gray.empty()) line["gray"] = description.gray;
        line["latent_channels"] = description.latent_channels;
        line["hyper_channels"] = description.hyper_channels;
    } else if (description.task == Task::denoise) {
        line["task"] = "denoise";
        line["noise"] = description.noise == NoiseDomain::photo ? "photo" : "page";
    } else {
        line["task"] = "autoencoder";
        line["code_stride"] = code_stride(description);
    }
    line["metadata"] = std::move(metadata);
    line["parameters"] = totals.all.parameters;
    if (description.task != Task::denoise) {
        line["encoder_kmac_per_pixel"] = kmac_per_pixel(totals.encoder.multiplications);
        line["decoder_kmac_per_pixel"] = kmac_per_pixel(totals.decoder.multiplications);
    } else {
        line["kmac_per_pixel"] = kmac_per_pixel(totals.all.multiplications);
    }
    line["picture_side"] = kSide;
    line["networks"] = std::move(networks);
    print(to_line(line));
}

Described read_model(const std::string& path) {
    const auto model = Model::load(path);
    return {path, "model", hexadecimal(model->identity()), model->description(), model->metadata()};
}

Described read_recipe(const std::string& path, const std::vector<uint8_t>& bytes) {
    const Recipe recipe = in_file(path, [&] { return parse_recipe({bytes.begin(), bytes.end()}); });
    return {path, "recipe", "", recipe.description, {{"training", to_json(recipe.training)}}};
}

void show(const std::string& path, const Settings& settings) {
    const std::string extension = std::filesystem::path(path).extension();
    const auto print = settings.json ? print_model_json : print_model;
    if (extension == ".safetensors") return print(read_model(path));
    const std::vector<uint8_t> bytes = read_file(path);
    if (extension == ".json") return print(read_recipe(path, bytes));
    in_file(path, [&] { show_container(path, bytes, settings); });
}

}  // namespace

ExitCode info(const Settings& settings) {
    ExitStatus status;
    for (const std::string& path : settings.inputs) attempt(path, status, [&] { show(path, settings); });
    return status.code();
}

}  // namespace decant::cli
