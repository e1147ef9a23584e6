#include "codec/network/model_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <iterator>
#include <map>

#include "codec/entropy/table_builder.h"
#include "codec/error.h"
#include "codec/network/rounding.h"
#include "codec/network/safetensors.h"
#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

// src: two bytes a value, not necessarily aligned.
void from_bf16(std::span<const std::byte> src, std::span<float> dst) {
    for (size_t i = 0; i < dst.size(); i++) {
        bf16 low;
        std::memcpy(&low, src.data() + 2 * i, sizeof low);
        dst[i] = to_float(low);
    }
}

bool all_finite(std::span<const float> values) {
    uint32_t special = 0;  // exponents of all ones; without a branch, so that the loop is vectorised
    for (const float& v : values) {
        uint32_t bits;
        std::memcpy(&bits, &v, 4);
        special |= uint32_t((bits & 0x7f800000u) == 0x7f800000u);
    }
    return special == 0;
}

enum class Storage { f32, bf16, integer, wide, fixed };

// By the names of weight tensors.
using StorageMap = std::map<std::string, Storage>;

StorageMap weight_storage(const Description& d) {
    StorageMap result{{"prediction", Storage::fixed}};
    for (const Network& n : d.networks) {
        for (const Layer& l : n.layers) {
            if (l.op != Operation::convolution) continue;
            result[n.name + "." + l.name + ".weight"] = l.arithmetic == Arithmetic::integer ? Storage::integer
                                                        : l.arithmetic == Arithmetic::wide  ? Storage::wide
                                                                                            : Storage::bf16;
        }
    }
    return result;
}

// How a tensor is stored: biases and most others as floats.
Storage storage_of(const StorageMap& weights, const std::string& tensor) {
    const auto found = weights.find(tensor);
    return found == weights.end() ? Storage::f32 : found->second;
}

std::string exponent_name(const std::string& weight) { return weight.substr(0, weight.rfind('.')) + ".exponent"; }

// Keeps the bytes of tensors that are made for the file.
class TensorStore {
public:
    template <class T>
    void add(const std::string& name, Dtype dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
        const auto bytes = std::as_bytes(std::span(values));
        stored_.emplace_back(bytes.begin(), bytes.end());
        map_[name] = {dtype, std::move(shape), stored_.back()};
    }
    const TensorMap& map() const { return map_; }

private:
    std::deque<std::vector<std::byte>> stored_;
    TensorMap map_;
};

FactorizedTables hyper_tables(const Description& d, const Parameters& parameters) {
    constexpr int kReach = 64;
    std::vector<std::vector<double>> probabilities;
    std::vector<int> first;
    for (size_t c = 0; c < size_t(d.hyper_channels); c++) {
        const double mean = parameters["hyper_mean"][c], sigma = std::max(std::exp2(double(parameters["hyper_log2_scale"][c])), kSmallestScale);
        const int middle = int(std::lround(mean));
        std::vector<double> p;
        for (int s = -kReach; s <= kReach; s++) p.push_back(logistic_probability(mean, sigma, middle + s));
        probabilities.push_back(std::move(p));
        first.push_back(middle - kReach);
    }
    return build_factorized_tables(probabilities, first);
}

constexpr int kMostOctaves = 14;  // either way

int16_t fixed_log2(double v) { return int16_t(std::lround(std::ldexp(std::clamp(v, -double(kMostOctaves), double(kMostOctaves)), kUnitExponent))); }

std::vector<int16_t> unit_table(const Description& d, const Parameters& parameters) {
    const auto std = parameters["latent_std"], gain = parameters["gain"];
    std::vector<int16_t> unit;
    for (size_t i = 0; i < gain.size(); i++) unit.push_back(fixed_log2(std::log2(std::max(double(std[i % size_t(d.latent_channels)]), 1e-6)) + double(gain[i])));
    return unit;
}

std::vector<int16_t> step_table(const Parameters& parameters) {
    std::vector<int16_t> step;
    for (const float v : parameters["inverse_gain"]) step.push_back(fixed_log2(double(v)));
    return step;
}

std::vector<int8_t> read_exponents(const SafetensorsFile& file, const std::string& path, const Parameter& p, int most) {
    auto exponents = file.get(exponent_name(p.name), {Dtype::I8}, {p.shape[0]}).values<int8_t>();
    for (const int8_t e : exponents) {
        if (e < 0 || e > most) throw Error(ErrorCode::corrupt, path + ": tensor " + exponent_name(p.name) + ": " + std::to_string(e) + " is out of range");
    }
    return exponents;
}

std::vector<int16_t> read_logarithms(const SafetensorsFile& file, const std::string& path, const Description& d, const std::string& name) {
    auto values = file.get(name, {Dtype::I16}, {d.levels(), d.latent_channels}).values<int16_t>();
    if (std::any_of(values.begin(), values.end(), [](int16_t v) { return std::abs(v) > kMostOctaves << kUnitExponent; })) {
        throw Error(ErrorCode::corrupt, path + ": tensor " + name + ": a value is out of range");
    }
    return values;
}

// Refuses a description that asks for more parameters than the file can hold, before memory is taken for them.
void check_size(const Description& d, const SafetensorsFile& file, const std::string& path) {
    int64_t parameters = 0;
    uint64_t bytes = 0;
    for (const Network& n : d.networks) {
        for (const PlannedLayer& p : plan(n, {1, 64, 64, n.channels_in})) parameters += p.parameters(d.levels());
    }
    for (const auto& entry : file.tensors()) bytes += entry.second.data.size();
    if (uint64_t(parameters) > bytes) {
        throw Error(ErrorCode::model_mismatch, path + ": the description asks for " + std::to_string(parameters) + " parameters, the tensors hold " +
                                                   std::to_string(bytes) + " bytes");
    }
}

}  // namespace

void save_model(const std::string& path, const Description& d, const Parameters& parameters, const std::vector<std::pair<std::string, std::string>>& metadata) {
    TensorStore store;
    const StorageMap kinds = weight_storage(d);
    for (const Parameter& p : parameters.list()) {
        const auto values = parameters[p.name];
        if (!all_finite(values)) {
            throw Error(ErrorCode::invalid_argument, path + ": parameter " + p.name + " is not finite; the model is not saved");
        }
        const std::vector<int64_t> shape(p.shape.begin(), p.shape.end());
        switch (storage_of(kinds, p.name)) {
            case Storage::integer: {
                const RoundedWeights rounded = round_weights(values, p.shape[0]);
                store.add(p.name, Dtype::I8, shape, rounded.integers);
                store.add(exponent_name(p.name), Dtype::I8, {p.shape[0]}, rounded.exponents);
                break;
            }
            case Storage::wide: {
                const WideWeights rounded = round_wide_weights(values, p.shape[0]);
                store.add(p.name, Dtype::I16, shape, rounded.integers);
                store.add(exponent_name(p.name), Dtype::I8, {p.shape[0]}, rounded.exponents);
                break;
            }
            case Storage::fixed: {
                std::vector<int16_t> fixed;
                for (float v : values) fixed.push_back(int16_t(std::lround(std::clamp(std::ldexp(v, kPredictionExponent), -32767.0f, 32767.0f))));
                store.add(p.name, Dtype::I16, shape, fixed);
                break;
            }
            case Storage::bf16: {
                std::vector<bf16> low;
                for (float v : values) low.push_back(to_bf16(v));
                store.add(p.name, Dtype::BF16, shape, low);
                break;
            }
            case Storage::f32: store.add(p.name, Dtype::F32, shape, std::vector<float>(values.begin(), values.end())); break;
        }
    }
    if (d.task == Task::codec) {
        store.add("unit", Dtype::I16, {d.levels(), d.latent_channels}, unit_table(d, parameters));
        store.add("step", Dtype::I16, {d.levels(), d.latent_channels}, step_table(parameters));
        const auto scales = build_scale_tables().serialise(), hyper = hyper_tables(d, parameters).serialise();
        store.add("entropy.scales", Dtype::U16, {int64_t(scales.size())}, scales);
        store.add("entropy.hyper", Dtype::U16, {int64_t(hyper.size())}, hyper);
    }
    TextMap text(metadata.begin(), metadata.end());
    text["description"] = to_json(d);
    save_safetensors(path, store.map(), text);
}

namespace {

constexpr const char* kFilterPrefix = "filter.";

std::string filter_name(size_t number, const std::string& part) { return kFilterPrefix + std::to_string(number) + "." + part; }

std::string taps_name(size_t stage) { return "taps." + std::to_string(stage + 1); }

int filter_planes_of(const Description& d) { return filter_planes(picture_channels(d)); }

int last_quality_of(const Description& d) { return 256 * (d.task == Task::denoise ? 255 : d.levels() - 1); }

std::vector<FilterTables> read_filters(const SafetensorsFile& file, const std::string& path, const Description& d) {
    std::vector<FilterTables> filters;
    const auto planes = size_t(filter_planes_of(d));
    while (file.contains(filter_name(filters.size() + 1, "quality"))) {
        const size_t number = filters.size() + 1;
        const auto quality = file.get(filter_name(number, "quality"), {Dtype::I32}).values<int32_t>();
        const auto points = int64_t(quality.size());
        const auto activity = file.get(filter_name(number, "activity"), {Dtype::I32}, {points, kFilterStages, kFilterActivities - 1}).values<int32_t>();
        const auto clips = file.get(filter_name(number, "clips"), {Dtype::I16}, {points, kFilterStages, int64_t(planes), kFilterClips - 1}).values<int16_t>();
        const bool is_good = points > 0 && std::ranges::is_sorted(quality) && std::ranges::adjacent_find(quality) == quality.end() && quality.front() >= 0 &&
                             quality.back() <= last_quality_of(d) && std::ranges::all_of(clips, [](int16_t c) { return c >= 0; }) &&
                             std::ranges::all_of(activity, [](int32_t a) { return a >= 0; });
        if (!is_good) throw Error(ErrorCode::corrupt, path + ": filter " + std::to_string(number) + ": a value is out of range");
        FilterTables tables;
        auto next_activity = activity.begin();
        auto next_clip = clips.begin();
        const auto take = [](auto& from, auto to, size_t count) {
            std::copy_n(from, count, to);
            from += ptrdiff_t(count);
        };
        for (const int32_t q : quality) {
            FilterPoint& point = tables.points.emplace_back();
            point.quality_q8 = q;
            for (FilterStage& stage : point.stages) {
                take(next_activity, stage.activity.begin(), stage.activity.size());
                for (size_t plane = 0; plane < planes; plane++) take(next_clip, stage.clips[plane].begin(), stage.clips[plane].size());
            }
        }
        for (size_t stage = 0; stage < kFilterStages; stage++) {
            const size_t taps = filter_taps(int(stage), int(planes));
            const auto values = file.get(filter_name(number, taps_name(stage)), {Dtype::I16}, {points, kFilterClasses, int64_t(taps)}).values<int16_t>();
            auto next = values.begin();
            for (FilterPoint& point : tables.points) take(next, std::back_inserter(point.stages[stage].taps), kFilterClasses * taps);
        }
        tables.check = filter_check(tables.points);
        filters.push_back(std::move(tables));
    }
    return filters;
}

// Of the tensors that decoding depends on, but for the filters.
uint64_t identity_of(const SafetensorsFile& file, const std::string& description) {
    TensorMap tensors = file.tensors();
    std::erase_if(tensors, [](const auto& entry) { return entry.first.starts_with(kFilterPrefix); });
    return tensors_identity(tensors, {&description, 1});
}

NetworkModel read_networks(const SafetensorsFile& file, const std::string& path) {
    const auto description = file.metadata().find("description");
    if (description == file.metadata().end()) throw Error(ErrorCode::model_mismatch, path + ": not a decant model, the metadata has no \"description\"");
    Description d = parse_description(description->second);
    check_size(d, file, path);
    Parameters parameters(d);
    const StorageMap kinds = weight_storage(d);
    for (const Parameter& p : parameters.list()) {
        const std::vector<int64_t> shape(p.shape.begin(), p.shape.end());
        const auto target = parameters[p.name];
        switch (storage_of(kinds, p.name)) {
            case Storage::integer: {
                const auto integers = file.get(p.name, {Dtype::I8}, shape).data;
                const auto exponents = read_exponents(file, path, p, kMaxWeightExponent);
                const size_t per_output = p.size / size_t(p.shape[0]);
                for (size_t o = 0; o < exponents.size(); o++) {
                    const auto row = integers.subspan(o * per_output, per_output);
                    int64_t sum = 0;
                    for (const std::byte w : row) {
                        const int magnitude = std::abs(int(int8_t(w)));
                        if (magnitude > kWeightLimit) throw Error(ErrorCode::corrupt, path + ": tensor " + p.name + ": a value is out of range");
                        sum += magnitude;
                    }
                    if (sum > kRowLimit) {
                        throw Error(ErrorCode::corrupt, path + ": tensor " + p.name + ": the weights of output " + std::to_string(o) + " sum to " +
                                                            std::to_string(sum) + ", more than " + std::to_string(kRowLimit));
                    }
                    const float step = std::ldexp(1.0f, -exponents[o]);
                    for (size_t i = o * per_output; i < (o + 1) * per_output; i++) target[i] = float(int8_t(integers[i])) * step;
                }
                continue;
            }
            case Storage::wide: {
                const auto integers = file.get(p.name, {Dtype::I16}, shape).values<int16_t>();
                const auto exponents = read_exponents(file, path, p, kMaxWideExponent);
                const size_t per_output = p.size / size_t(p.shape[0]);
                for (size_t i = 0; i < integers.size(); i++) {
                    if (std::abs(int(integers[i])) > kWideLimit) throw Error(ErrorCode::corrupt, path + ": tensor " + p.name + ": a value is out of range");
                    target[i] = std::ldexp(float(integers[i]), -exponents[i / per_output]);
                }
                continue;
            }
            case Storage::fixed: {
                const auto fixed = file.get(p.name, {Dtype::I16}, shape).values<int16_t>();
                for (size_t i = 0; i < fixed.size(); i++) target[i] = std::ldexp(float(fixed[i]), -kPredictionExponent);
                continue;
            }
            case Storage::bf16: from_bf16(file.get(p.name, {Dtype::BF16}, shape).data, target); break;
            case Storage::f32: std::memcpy(target.data(), file.get(p.name, {Dtype::F32}, shape).data.data(), target.size_bytes()); break;
        }
        if (!all_finite(target)) {
            throw Error(ErrorCode::corrupt, path + ": tensor " + p.name + " holds values that are not finite");
        }
    }
    NetworkModel model{std::move(d), std::move(parameters), {}, identity_of(file, description->second), {}};
    for (const auto& [key, value] : file.metadata()) {
        if (key != "description") model.metadata.emplace_back(key, value);
    }
    if (model.description.task != Task::autoencoder) model.filters = read_filters(file, path, model.description);
    return model;
}

ModelContents read_codec(NetworkModel networks, const SafetensorsFile& file, const std::string& path) {
    const Description& d = networks.description;
    auto unit = read_logarithms(file, path, d, "unit"), step = read_logarithms(file, path, d, "step");
    const auto scales = file.get("entropy.scales", {Dtype::U16}).values<uint16_t>();
    const auto hyper = file.get("entropy.hyper", {Dtype::U16}).values<uint16_t>();
    auto prediction = file.get("prediction", {Dtype::I16}).values<int16_t>();
    ModelContents contents{std::move(networks), std::move(unit), std::move(step), std::move(prediction), ScaleTables(scales), FactorizedTables(hyper)};
    if (contents.hyper.channel_count() != size_t(contents.description.hyper_channels)) {
        throw Error(ErrorCode::model_mismatch, path + ": tensor entropy.hyper has " + std::to_string(contents.hyper.channel_count()) + " tables, the network " +
                                                   std::to_string(contents.description.hyper_channels) + " hyper-latent channels");
    }
    return contents;
}

}  // namespace

const FilterTables& ModelContents::filter(uint16_t check) const {
    const auto found = std::ranges::find(filters, check, &FilterTables::check);
    if (found == filters.end()) throw Error(ErrorCode::model_mismatch, "the file asks for a filter that the model " + description.name + " does not have; it needs a newer file of that model");
    return *found;
}

void save_filter(const std::string& model, const std::string& path, const std::vector<FilterPoint>& points, const std::string& how) {
    const AnyModel any = load_any_model(model);
    const NetworkModel& contents = std::visit([](const NetworkModel& m) -> const NetworkModel& { return m; }, any);
    const SafetensorsFile file = SafetensorsFile::load(model);
    const size_t number = contents.filters.size() + 1;
    const auto planes = size_t(filter_planes_of(contents.description)), count = points.size();
    std::vector<int32_t> quality, activity;
    std::vector<int16_t> clips;
    for (const FilterPoint& p : points) {
        quality.push_back(p.quality_q8);
        for (const FilterStage& s : p.stages) {
            activity.insert(activity.end(), s.activity.begin(), s.activity.end());
            for (size_t plane = 0; plane < planes; plane++) clips.insert(clips.end(), s.clips[plane].begin(), s.clips[plane].end());
        }
    }
    TensorStore store;
    store.add(filter_name(number, "quality"), Dtype::I32, {int64_t(count)}, quality);
    store.add(filter_name(number, "activity"), Dtype::I32, {int64_t(count), kFilterStages, kFilterActivities - 1}, activity);
    store.add(filter_name(number, "clips"), Dtype::I16, {int64_t(count), kFilterStages, int64_t(planes), kFilterClips - 1}, clips);
    for (size_t stage = 0; stage < kFilterStages; stage++) {
        std::vector<int16_t> taps;
        for (const FilterPoint& p : points) taps.insert(taps.end(), p.stages[stage].taps.begin(), p.stages[stage].taps.end());
        store.add(filter_name(number, taps_name(stage)), Dtype::I16, {int64_t(count), kFilterClasses, int64_t(filter_taps(int(stage), int(planes)))}, taps);
    }
    TensorMap tensors = file.tensors();
    tensors.insert(store.map().begin(), store.map().end());
    TextMap text = file.metadata();
    text["filter " + std::to_string(number)] = how;
    save_safetensors(path, tensors, text);
}

AnyModel load_any_model(const std::string& path) {
    const SafetensorsFile file = SafetensorsFile::load(path);
    NetworkModel networks = read_networks(file, path);
    if (networks.description.task == Task::codec) return read_codec(std::move(networks), file, path);
    return networks;
}

ModelContents load_model(const std::string& path) {
    AnyModel model = load_any_model(path);
    if (auto* contents = std::get_if<ModelContents>(&model)) return std::move(*contents);
    throw Error(ErrorCode::model_mismatch, path + ": is no codec, but a denoising model");
}

}  // namespace decant
