#include "codec/network/description.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "codec/error.h"
#include "codec/network/description_json.h"
#include "codec/network/json_fields.h"

namespace decant {

using json = OrderedJson;

const Names<Operation>& names(Operation) {
    static const Names<Operation> list{{"conv", Operation::convolution}, {"unshuffle", Operation::unshuffle}, {"shuffle", Operation::shuffle}};
    return list;
}
const Names<Activation>& names(Activation) {
    static const Names<Activation> list{{"none", Activation::none},
                                        {"relu", Activation::relu},
                                        {"leaky_relu", Activation::leaky_relu},
                                        {"prelu", Activation::prelu},
                                        {"elu", Activation::elu},
                                        {"selu", Activation::selu},
                                        {"swish", Activation::swish},
                                        {"silu", Activation::swish},
                                        {"gelu", Activation::gelu},
                                        {"mish", Activation::mish},
                                        {"hard_swish", Activation::hard_swish},
                                        {"sigmoid", Activation::sigmoid},
                                        {"tanh", Activation::tanh},
                                        {"softplus", Activation::softplus},
                                        {"softmax", Activation::softmax},
                                        {"gdn", Activation::gdn},
                                        {"inverse_gdn", Activation::inverse_gdn},
                                        {"jump_relu", Activation::jump_relu}};
    return list;
}
const Names<Normalisation>& names(Normalisation) {
    static const Names<Normalisation> list{{"none", Normalisation::none}, {"batch", Normalisation::batch}};
    return list;
}
const Names<Arithmetic>& names(Arithmetic) {
    static const Names<Arithmetic> list{{"wide", Arithmetic::wide}, {"compute", Arithmetic::compute}, {"integer", Arithmetic::integer}};
    return list;
}
const Names<Init>& names(Init) {
    static const Names<Init> list{{"he", Init::he}, {"lecun", Init::lecun}, {"zero", Init::zero}, {"klt", Init::klt}, {"small", Init::small}};
    return list;
}

const Names<Task>& names(Task) {
    static const Names<Task> list{{"codec", Task::codec}, {"denoise", Task::denoise}, {"autoencoder", Task::autoencoder}};
    return list;
}
const Names<Bottleneck::Kind>& names(Bottleneck::Kind) {
    using Kind = Bottleneck::Kind;
    static const Names<Kind> list{{"plain", Kind::plain}, {"sparse", Kind::sparse}, {"contractive", Kind::contractive}, {"variational", Kind::variational}, {"quantised", Kind::quantised}};
    return list;
}
const Names<Bottleneck::Sparsity>& names(Bottleneck::Sparsity) {
    using Sparsity = Bottleneck::Sparsity;
    static const Names<Sparsity> list{{"l1", Sparsity::l1}, {"kl", Sparsity::kl}, {"top_k", Sparsity::top_k}, {"l0", Sparsity::l0}};
    return list;
}
const Names<Corruption::Kind>& names(Corruption::Kind) {
    using Kind = Corruption::Kind;
    static const Names<Kind> list{{"none", Kind::none}, {"gaussian", Kind::gaussian}, {"mask", Kind::mask}, {"photo", Kind::photo}, {"page", Kind::page}};
    return list;
}
const Names<NoiseDomain>& names(NoiseDomain) {
    static const Names<NoiseDomain> list{{"photo", NoiseDomain::photo}, {"page", NoiseDomain::page}};
    return list;
}

namespace {

// What is said begins with the path of the value that is wrong, which JsonDocument::located finds.
[[noreturn]] void fail(const std::string& what) { fail_json(what); }

// The fields of a layer, described once for reading and writing: `f(key, member)`.
template <class L, class F>
    requires std::is_same_v<std::remove_const_t<L>, Layer>
void visit_fields(L& layer, F&& f) {
    f("name", layer.name);
    f("op", layer.op);
    f("input", layer.input);
    f("add", layer.add);
    f("channels", layer.channels);
    f("kernel", layer.kernel);
    f("stride", layer.stride);
    f("factor", layer.factor);
    f("activation", layer.activation);
    f("slope", layer.slope);
    f("alpha", layer.alpha);
    f("beta", layer.beta);
    f("threshold", layer.threshold);
    f("bandwidth", layer.bandwidth);
    f("normalisation", layer.normalisation);
    f("dropout", layer.dropout);
    f("arithmetic", layer.arithmetic);
    f("quality_bias", layer.quality_bias);
    f("input_exponent", layer.input_exponent);
    f("init", layer.init);
    f("init_scale", layer.init_scale);
}

template <class B, class F>
    requires std::is_same_v<std::remove_const_t<B>, Bottleneck>
void visit_fields(B& bottleneck, F&& f) {
    f("kind", bottleneck.kind);
    f("sparsity", bottleneck.sparsity);
    f("weight", bottleneck.weight);
    f("target", bottleneck.target);
    f("active", bottleneck.active);
    f("codes", bottleneck.codes);
    f("warm_up", bottleneck.warm_up);
}
template <class L, class F>
    requires std::is_same_v<std::remove_const_t<L>, Losses>
void visit_fields(L& loss, F&& f) {
    f("mse", loss.mse);
    f("l1", loss.l1);
    f("charbonnier", loss.charbonnier);
    f("cross_entropy", loss.cross_entropy);
    f("ms_ssim", loss.ms_ssim);
}
template <class C, class F>
    requires std::is_same_v<std::remove_const_t<C>, Corruption>
void visit_fields(C& corruption, F&& f) {
    f("kind", corruption.kind);
    f("amount", corruption.amount);
}

// An object of fields, those that are missing as they are at first.
template <class T>
T read_fields(const json& object, const std::string& where) {
    T result;
    std::set<std::string> known;
    visit_fields(result, [&](const char* key, auto&) { known.insert(key); });
    check_keys(object, known, where);
    visit_fields(result, [&](const char* key, auto& member) {
        if (object.contains(key)) read_value(object[key], member, where + "." + key);
    });
    return result;
}

// Without what is as it is at first.
template <class T>
json write_fields(const T& value) {
    json object = json::object();
    const T defaults;
    visit_fields(value, [&](const char* key, const auto& member) { object[key] = write_value(member); });
    visit_fields(defaults, [&](const char* key, const auto& member) {
        if (object[key] == write_value(member)) object.erase(key);
    });
    return object;
}

Layer read_layer(const json& object, const std::string& where) {
    Layer layer = read_fields<Layer>(object, where);
    if (layer.name.empty()) fail(where + ": a layer needs a name");
    return layer;
}

template <class T>
T required(const json& object, const char* key, const std::string& where) {
    if (!object.contains(key)) fail(where + ": \"" + key + "\" is missing");
    T value{};
    read_value(object[key], value, where + "." + key);
    return value;
}

void read_codec(const json& root, Description& d) {
    d.latent_channels = required<int>(root, "latent_channels", "model");
    d.hyper_channels = required<int>(root, "hyper_channels", "model");
    d.lambda = required<std::vector<double>>(root, "lambda", "model");
    if (d.latent_channels < 4 || d.latent_channels > 4096 || d.latent_channels % 4 != 0) fail("model.latent_channels: must be a multiple of 4 up to 4096");
    if (d.hyper_channels < 1 || d.hyper_channels > 4096) fail("model.hyper_channels: must be 1 to 4096");
    if (d.lambda.size() < 2 || d.lambda.size() > 64 || !std::is_sorted(d.lambda.begin(), d.lambda.end()) || d.lambda[0] <= 0) {
        fail("model.lambda: must be 2 to 64 positive numbers in rising order");
    }
    if (root.contains("serves")) {
        const auto serves = required<std::vector<int>>(root, "serves", "model");
        if (serves.size() != 2 || serves[0] < 0 || serves[0] >= serves[1] || serves[1] >= d.levels()) {
            fail("model.serves: must be the first and the last of at least two rate points, counted from 0");
        }
        if (serves[0] > 0 || serves[1] < d.levels() - 1) d.serves = {serves[0], serves[1]};
    }
    if (root.contains("companion")) d.companion = required<std::string>(root, "companion", "model");
    if (root.contains("gray")) d.gray = required<std::string>(root, "gray", "model");
    if (d.companion.find('/') != std::string::npos) fail("model.companion: is the name of a model in the same folder");
    if (d.gray.find('/') != std::string::npos) fail("model.gray: is the name of a model in the same folder");
}

// Of what it has: descriptions of parts of a codec are used as well.
void check_codec(const Description& d) {
    const auto has = [&](const char* name) { return std::ranges::any_of(d.networks, [&](const Network& n) { return n.name == name; }); };
    if (!has(kAnalysisNetwork)) return;
    const int colours = picture_channels(d);
    if (colours != 1 && colours != 3) fail("analysis.channels_in: must be 1 (gray) or 3 (RGB)");
    if (!has(kSynthesisNetwork)) return;
    const Network& synthesis = d.network(kSynthesisNetwork);
    const int made = plan(synthesis, {1, 64, 64, synthesis.channels_in}).back().dst_shape.c;
    if (made != colours) fail("synthesis: the result has " + std::to_string(made) + " channels, the analysis reads " + std::to_string(colours));
}

void check_denoiser(const Description& d) {
    if (d.networks.size() != 1 || d.networks[0].name != kDenoiseNetwork) fail("model.networks: a denoising model has one network, \"denoise\"");
    const Network& n = d.networks[0];
    if (n.channels_in != 2 && n.channels_in != 4) fail("denoise.channels_in: must be 2 (gray) or 4 (RGB): the samples of a pixel and the noise level");
    const Shape in{1, 64, 64, n.channels_in}, wanted{1, 64, 64, n.channels_in - 1};
    if (const Shape out = plan(n, in).back().dst_shape; out != wanted) {
        fail("denoise: the result for " + to_string(in) + " has shape " + to_string(out) + " instead of " + to_string(wanted));
    }
    for (const Layer& l : n.layers) {
        // Levels of quality belong to a codec.
        if (l.quality_bias) fail("denoise." + l.name + ".quality_bias: is for codecs");
    }
}

void check_autoencoder(const Description& d) {
    const auto within = [](float v, float low, float high) { return v >= low && v <= high; };
    const Bottleneck& b = d.bottleneck;
    const Losses& l = d.loss;
    if (!within(b.weight, 0, 1e6f)) fail("bottleneck.weight must be 0 to 1000000");
    if (!within(b.target, 1e-4f, 0.9999f)) fail("bottleneck.target must be 0.0001 to 0.9999");
    if (b.warm_up < 0) fail("bottleneck.warm_up must be at least 0");
    if (b.codes < 2 || b.codes > 65536) fail("bottleneck.codes must be 2 to 65536");
    float sum = 0;
    for (const float weight : {l.mse, l.l1, l.charbonnier, l.cross_entropy, l.ms_ssim}) {
        if (!within(weight, 0, 1e6f)) fail("loss: a weight must be 0 to 1000000");
        sum += weight;
    }
    if (sum == 0) fail("loss: one of the weights must be above 0");
    if (!within(d.corruption.amount, 0, d.corruption.kind == Corruption::Kind::mask ? 1.0f : 255.0f)) fail("corruption.amount is out of range");
    if (d.networks.size() != 2) fail("an autoencoder has two networks, \"encoder\" and \"decoder\"");
    const Network &encoder = d.network(kEncoderNetwork), &decoder = d.network(kDecoderNetwork);
    if (encoder.channels_in != 1 && encoder.channels_in != 3) fail("encoder: channels_in must be 1 (gray) or 3 (RGB)");
    for (const Network* n : {&encoder, &decoder}) {
        for (const Layer& layer : n->layers) {
            if (layer.quality_bias) fail(n->name + "." + layer.name + ": quality_bias is for codecs");
        }
    }
    const auto ends_in = [](const Network& n, Activation activation) {
        const Layer* last = last_convolution(n);
        return last != nullptr && last->activation == activation;
    };
    if (b.kind == Bottleneck::Kind::sparse && b.sparsity == Bottleneck::Sparsity::l0 && !ends_in(encoder, Activation::jump_relu)) {
        fail("bottleneck: l0 needs an encoder that ends in jump_relu");
    }
    if (l.cross_entropy > 0 && !ends_in(decoder, Activation::sigmoid)) fail("loss: cross_entropy needs a decoder that ends in a sigmoid");
    const Shape picture{1, 64, 64, encoder.channels_in}, latent = latent_shape(d, picture);
    if (b.kind == Bottleneck::Kind::sparse && b.sparsity == Bottleneck::Sparsity::top_k && (b.active < 1 || b.active > latent.c)) {
        fail("bottleneck.active must be 1 to the number of the code's channels, " + std::to_string(latent.c));
    }
    if (const Shape out = plan(decoder, latent).back().dst_shape; out != picture) {
        fail("decoder: the result for " + to_string(latent) + " has shape " + to_string(out) + " instead of " + to_string(picture));
    }
}

}  // namespace

const Network& Description::network(std::string_view wanted) const {
    for (const Network& n : networks) {
        if (n.name == wanted) return n;
    }
    fail("model.networks: network \"" + std::string(wanted) + "\" is missing");
}

Description read_description(const json& whole) {
    if (!whole.is_object()) fail("model: an object is expected");
    json root = whole;
    root.erase("training");
    Description d;
    if (root.contains("task")) read_value(root["task"], d.task, "model.task");
    if (d.task == Task::codec) {
        check_keys(root, {"name", "task", "latent_channels", "hyper_channels", "lambda", "serves", "companion", "gray", "networks"}, "model");
        read_codec(root, d);
    } else if (d.task == Task::denoise) {
        check_keys(root, {"name", "task", "noise", "networks"}, "model");
        if (root.contains("noise")) read_value(root["noise"], d.noise, "model.noise");
    } else {
        check_keys(root, {"name", "task", "bottleneck", "loss", "corruption", "networks"}, "model");
        if (root.contains("bottleneck")) d.bottleneck = read_fields<Bottleneck>(root["bottleneck"], "bottleneck");
        d.loss = root.contains("loss") ? read_fields<Losses>(root["loss"], "loss") : Losses{.mse = 1.0f};
        if (root.contains("corruption")) d.corruption = read_fields<Corruption>(root["corruption"], "corruption");
    }
    d.name = required<std::string>(root, "name", "model");
    const json networks = required<json>(root, "networks", "model");
    if (!networks.is_object()) fail("networks: an object is expected");
    for (const auto& [name, object] : networks.items()) {
        check_keys(object, {"channels_in", "layers"}, name);
        Network n{name, required<int>(object, "channels_in", name), {}};
        const json layers = required<json>(object, "layers", name);
        if (!layers.is_array() || layers.empty() || layers.size() > 1000) fail(name + ": layers must be a list of 1 to 1000 layers");
        for (size_t i = 0; i < layers.size(); i++) n.layers.push_back(read_layer(layers[i], name + ".layers[" + std::to_string(i) + "]"));
        plan(n, {1, 64, 64, n.channels_in});
        d.networks.push_back(std::move(n));
    }
    if (d.task == Task::codec) check_codec(d);
    if (d.task == Task::denoise) check_denoiser(d);
    if (d.task == Task::autoencoder) check_autoencoder(d);
    return d;
}

Description parse_description(const std::string& text) {
    const auto with_name = [](const Error& error) { return Error(error.code(), std::string("network description: ") + error.what()); };
    std::optional<JsonDocument> document;
    try {
        document.emplace(text);
    } catch (const Error& error) {
        throw with_name(error);
    }
    try {
        return read_description(document->root());
    } catch (const Error& error) {
        throw with_name(document->located(error));
    }
}

std::string to_json(const Description& d) {
    json root;
    root["name"] = d.name;
    if (d.task == Task::codec) {
        root["latent_channels"] = d.latent_channels;
        root["hyper_channels"] = d.hyper_channels;
        root["lambda"] = d.lambda;
        if (d.serves) root["serves"] = *d.serves;
        if (!d.companion.empty()) root["companion"] = d.companion;
        if (!d.gray.empty()) root["gray"] = d.gray;
    } else {
        root["task"] = write_value(d.task);
    }
    if (d.task == Task::denoise) root["noise"] = write_value(d.noise);
    if (d.task == Task::autoencoder) {
        root["bottleneck"] = write_fields(d.bottleneck);
        root["loss"] = write_fields(d.loss);
        if (d.corruption != Corruption{}) root["corruption"] = write_fields(d.corruption);
    }
    for (const Network& n : d.networks) {
        json layers = json::array();
        for (const Layer& layer : n.layers) {
            layers.push_back(write_fields(layer));
        }
        root["networks"][n.name] = json{{"channels_in", n.channels_in}, {"layers", std::move(layers)}};
    }
    return root.dump();
}

namespace {

// The convolution that the value of layer `index` comes from, directly or through (un)shuffles; null if that is the input.
const Layer* origin(const std::vector<PlannedLayer>& layers, int index) {
    while (index >= 0 && layers[size_t(index)].layer->op != Operation::convolution) index = layers[size_t(index)].src;
    return index >= 0 ? layers[size_t(index)].layer : nullptr;
}

}  // namespace

const Layer* last_convolution(const Network& network) {
    const auto last = std::find_if(network.layers.rbegin(), network.layers.rend(), [](const Layer& l) { return l.op == Operation::convolution; });
    return last == network.layers.rend() ? nullptr : &*last;
}

bool is_integer(const Network& network) {
    return std::all_of(network.layers.begin(), network.layers.end(), [](const Layer& l) {
        return l.op != Operation::convolution || l.arithmetic == Arithmetic::integer ||
               (l.arithmetic == Arithmetic::wide && l.kernel == 1 && l.stride == 1 && l.activation == Activation::none);
    });
}

bool reads_activations(const std::vector<PlannedLayer>& layers, int index) {
    const PlannedLayer& p = layers[size_t(index)];
    const Layer* from = p.layer->op == Operation::convolution ? origin(layers, p.src) : nullptr;
    return from != nullptr && from->activation != Activation::none;
}

bool reads_signed(const std::vector<PlannedLayer>& layers, int index) {
    const PlannedLayer& p = layers[size_t(index)];
    if (p.layer->op != Operation::convolution || p.layer->arithmetic != Arithmetic::integer) return false;
    const Layer* from = origin(layers, p.src);
    return from != nullptr && from->activation == Activation::none;
}

std::vector<PlannedLayer> plan(const Network& network, Shape input, std::span<const Area> crops) {
    constexpr int kMaxChannels = 1 << 14;
    if (input.c != network.channels_in) {
        fail(network.name + ": input has " + std::to_string(input.c) + " channels, the network reads " + std::to_string(network.channels_in));
    }
    std::vector<PlannedLayer> result;
    size_t cropped = 0;
    std::map<std::string, int> index{{"input", -1}};
    for (const Layer& layer : network.layers) {
        const std::string where = network.name + "." + layer.name;
        const auto find = [&](const std::string& name) {
            const auto found = index.find(name);
            if (found == index.end()) fail(where + ": there is no layer \"" + name + "\" before it");
            return found->second;
        };
        PlannedLayer p;
        p.layer = &layer;
        p.src = layer.input.empty() ? int(result.size()) - 1 : find(layer.input);
        p.src_shape = p.src < 0 ? input : result[p.src].dst_shape;
        Shape d = p.src_shape;
        switch (layer.op) {
            case Operation::convolution:
                if (layer.channels < 1 || layer.channels > kMaxChannels) fail(where + ".channels: must be 1 to " + std::to_string(kMaxChannels));
                if (layer.kernel < 1 || layer.kernel > 7 || layer.kernel % 2 == 0) fail(where + ".kernel: must be 1, 3, 5 or 7");
                if (layer.stride < 1 || layer.stride > 4) fail(where + ".stride: must be 1 to 4");
                if (layer.input_exponent < 0 || layer.input_exponent > 8) fail(where + ".input_exponent: must be 0 to 8");
                if (layer.arithmetic == Arithmetic::integer && layer.activation != Activation::none && layer.activation != Activation::relu) {
                    fail(where + ": an integer layer has u8 results, so its activation is relu or none");
                }
                if (!(layer.alpha > 0.0f && layer.alpha <= 10.0f)) fail(where + ".alpha: must be above 0, up to 10");
                if (!(layer.beta > 0.0f && layer.beta <= 100.0f)) fail(where + ".beta: must be above 0, up to 100");
                if (!(layer.threshold >= 0.0f && layer.threshold <= 10.0f)) fail(where + ".threshold: must be 0 to 10");
                if (!(layer.bandwidth > 0.0f && layer.bandwidth <= 10.0f)) fail(where + ".bandwidth: must be above 0, up to 10");
                if (!(layer.dropout >= 0.0f && layer.dropout < 1.0f)) fail(where + ".dropout: must be at least 0 and below 1");
                if (layer.dropout > 0.0f && !layer.add.empty()) fail(where + ": a layer that adds has no dropout");
                if (layer.normalisation != Normalisation::none && (layer.arithmetic != Arithmetic::compute || layer.quality_bias)) {
                    fail(where + ".normalisation: goes with arithmetic compute, without quality_bias");
                }
                if (!(layer.slope >= 0.0f && layer.slope <= 1.0f)) fail(where + ".slope: must be 0 to 1");
                if (!(layer.init_scale > 0.0f && layer.init_scale <= 100.0f)) fail(where + ".init_scale: must be above 0, up to 100");
                if (const Layer* from = origin(result, p.src); layer.arithmetic == Arithmetic::integer && layer.input_exponent != kActivationExponent &&
                                                               from != nullptr && from->activation != Activation::none) {
                    fail(where + ".input_exponent: must be " + std::to_string(kActivationExponent) + ", which is what an integer layer before it gives");
                }
                if (layer.quality_bias && layer.arithmetic != Arithmetic::integer && layer.activation != Activation::none) {
                    fail(where + ".quality_bias: goes with an integer layer or with activation none");
                }
                d = {d.n, (d.h - 1) / layer.stride + 1, (d.w - 1) / layer.stride + 1, layer.channels};
                break;
            case Operation::unshuffle:
                if (layer.factor < 2 || layer.factor > 16) fail(where + ".factor: must be 2 to 16");
                if (d.h % layer.factor != 0 || d.w % layer.factor != 0) fail(where + ": " + to_string(d) + " does not divide by " + std::to_string(layer.factor));
                d = {d.n, d.h / layer.factor, d.w / layer.factor, d.c * layer.factor * layer.factor};
                break;
            case Operation::shuffle:
                if (layer.factor < 2 || layer.factor > 16) fail(where + ".factor: must be 2 to 16");
                if (d.c % (layer.factor * layer.factor) != 0) fail(where + ": " + std::to_string(d.c) + " channels do not divide by the factor squared");
                d = {d.n, d.h * layer.factor, d.w * layer.factor, d.c / (layer.factor * layer.factor)};
                break;
            case Operation::crop: {
                if (crops.empty()) break;
                if (cropped == crops.size()) fail(where + ": nobody says what to cut out");
                const Area& area = crops[cropped++];
                if (area.y < 0 || area.x < 0 || area.h < 1 || area.w < 1 || area.bottom() > d.h || area.right() > d.w) fail(where + ": cuts out what is not there");
                d = {d.n, area.h, area.w, d.c};
                break;
            }
        }
        if (layer.op != Operation::convolution &&
            (layer.activation != Activation::none || !layer.add.empty() || layer.normalisation != Normalisation::none || layer.dropout != 0.0f)) {
            fail(where + ": only a convolution has an activation, a normalisation, dropout or an addend");
        }
        if (d.c > kMaxChannels) fail(where + ": " + std::to_string(d.c) + " channels are too many");
        p.dst_shape = d;
        if (!layer.add.empty()) {
            p.add = find(layer.add);
            const Shape a = p.add < 0 ? input : result[p.add].dst_shape;
            if (a != d) fail(where + ".add: adds " + layer.add + " of shape " + to_string(a) + " to " + to_string(d));
            if (layer.activation != Activation::none) fail(where + ": a layer that adds has no activation");
        }
        if (!index.emplace(layer.name, int(result.size())).second) fail(where + ": the name is used twice");
        result.push_back(p);
    }
    return result;
}

std::vector<int> position_widths(const std::vector<PlannedLayer>& layers, int start) {
    std::vector<int> result{start};
    for (const PlannedLayer& p : layers) {
        const int w = result[size_t(p.src + 1)];
        switch (p.layer->op) {
            case Operation::convolution: result.push_back(w * p.layer->stride); break;
            case Operation::unshuffle: result.push_back(w * p.layer->factor); break;
            case Operation::shuffle: result.push_back(w / p.layer->factor); break;
            case Operation::crop: result.push_back(w); break;
        }
    }
    return result;
}

std::vector<int> margins_of(const std::vector<PlannedLayer>& layers, int start, int margin) {
    const std::vector<int> width = position_widths(layers, start);
    std::vector<int> result(layers.size() + 1, 0);
    result.back() = margin;
    for (size_t i = layers.size() + 1; i-- > 0;) {
        result[i] = (result[i] + width[i] - 1) / width[i] * width[i];  // a part of a position takes all of it
        if (i == 0) break;
        const PlannedLayer& p = layers[i - 1];
        const size_t src = size_t(p.src + 1);
        const int reach = p.layer->op == Operation::convolution ? (p.layer->kernel - 1) / 2 * width[src] : 0;
        result[src] = std::max(result[src], result[i] + reach);
        if (p.add != -2) result[size_t(p.add + 1)] = std::max(result[size_t(p.add + 1)], result[i]);
    }
    return result;
}

Reach reach_of(const Network& network, int start) {
    const std::vector<PlannedLayer> layers = plan(network, {1, 64, 64, network.channels_in});
    return {margins_of(layers, start, 0).front(), std::ranges::max(position_widths(layers, start))};
}

Shape latent_shape(const Description& d, Shape picture) {
    Shape code = plan(d.network(kEncoderNetwork), picture).back().dst_shape;
    if (d.bottleneck.kind == Bottleneck::Kind::variational) {
        if (code.c % 2 != 0) fail("encoder: a variational one gives means and variances, so an even number of channels, not " + std::to_string(code.c));
        code.c /= 2;
    }
    return code;
}

int picture_channels(const Description& d) {
    if (d.task == Task::denoise) return d.network(kDenoiseNetwork).channels_in - 1;  // the last one is the level
    return d.network(kAnalysisNetwork).channels_in;
}

int code_stride(const Description& d) { return 64 / latent_shape(d, {1, 64, 64, d.network(kEncoderNetwork).channels_in}).h; }

int64_t PlannedLayer::multiplications() const {
    if (layer->op != Operation::convolution) return 0;
    const bool mixes = layer->activation == Activation::gdn || layer->activation == Activation::inverse_gdn;
    return int64_t(dst_shape.elements()) * (int64_t(src_shape.c) * layer->kernel * layer->kernel + (mixes ? dst_shape.c : 0));
}

int64_t PlannedLayer::parameters(int levels) const {
    if (layer->op != Operation::convolution) return 0;
    const int64_t channels = layer->channels;
    int64_t result = channels * (int64_t(src_shape.c) * layer->kernel * layer->kernel + 1 + (layer->quality_bias ? levels : 0));
    if (layer->normalisation == Normalisation::batch) result += 4 * channels;
    switch (layer->activation) {
        case Activation::prelu:
        case Activation::jump_relu: return result + channels;
        case Activation::gdn:
        case Activation::inverse_gdn: return result + channels * (channels + 1);
        default: return result;
    }
}

}  // namespace decant
