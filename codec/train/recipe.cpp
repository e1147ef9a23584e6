#include "codec/train/recipe.h"

#include <xxhash.h>

#include <algorithm>
#include <limits>

#include "codec/network/description_json.h"
#include "codec/network/json_fields.h"
#include "codec/network/parameters.h"

namespace decant {

const Names<Precision>& names(Precision) {
    static const Names<Precision> list{{"auto", Precision::automatic}, {"bf16", Precision::bf16}, {"f32", Precision::f32}};
    return list;
}

const Names<Optimiser>& names(Optimiser) {
    static const Names<Optimiser> list{{"adam", Optimiser::adam}, {"adamw", Optimiser::adamw}, {"rmsprop", Optimiser::rmsprop}, {"sgd", Optimiser::sgd}};
    return list;
}
const Names<Schedule>& names(Schedule) {
    static const Names<Schedule> list{{"cosine", Schedule::cosine}, {"constant", Schedule::constant}, {"step", Schedule::step}, {"plateau", Schedule::plateau}};
    return list;
}

const Names<Quantiser>& names(Quantiser) {
    static const Names<Quantiser> list{{"trellis", Quantiser::trellis}, {"scalar", Quantiser::scalar}};
    return list;
}

namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

template <auto Member>
TrainingField::Target field(TrainOptions& options) {
    return &(options.*Member);
}
template <auto Member>
TrainingField::Target optimiser(TrainOptions& options) {
    return &(options.optimiser.*Member);
}

// clang-format off
constexpr TrainingField kFields[] = {
    {"data", "folder of pictures to learn from, with all folders below; one in 20 is held out for validation", 0, 0, field<&TrainOptions::data>, false},
    {"steps", "steps of training", 1, 0x1p53, field<&TrainOptions::steps>},
    {"batch", "crops a step, a multiple of shards", 1, 4096, field<&TrainOptions::batch>},
    {"crop", "side of a crop in pixels, a multiple of 16", 64, 2048, field<&TrainOptions::crop>},
    {"shards", "parts of a batch, each on a thread of its own; the result depends on it", 1, 1024, field<&TrainOptions::shards>},
    {"optimiser", "what a gradient does to the weights; adamw: Adam with weight decay apart from it", 0, 0, optimiser<&OptimiserOptions::kind>},
    {"momentum", "of sgd", 0, 0.9999, optimiser<&OptimiserOptions::momentum>},
    {"nesterov", "of sgd: Nesterov's momentum", 0, 0, optimiser<&OptimiserOptions::nesterov>},
    {"beta1", "of adam: what the mean of the gradients keeps a step", 0, 0.9999, optimiser<&OptimiserOptions::beta1>},
    {"beta2", "of adam and rmsprop: what the mean of their squares keeps", 0, 0.999999, optimiser<&OptimiserOptions::beta2>},
    {"epsilon", "of adam and rmsprop: added to the root of that mean", 1e-20, 1, optimiser<&OptimiserOptions::epsilon>},
    {"weight_decay", "L2 decay of the weights of convolutions", 0, 1, optimiser<&OptimiserOptions::weight_decay>},
    {"l1", "L1 decay of the weights of convolutions", 0, 1, optimiser<&OptimiserOptions::l1>},
    {"rate", "learning rate at its height", 1e-15, 1, field<&TrainOptions::rate>},
    {"schedule", "how the learning rate falls: like half a cosine after a level part (hold); not at all; in steps (decay, decay_every); when the validation no longer improves (decay, patience)", 0, 0, field<&TrainOptions::schedule>},
    {"warm_up", "steps in which the learning rate rises", 0, 0x1p53, field<&TrainOptions::warm_up>},
    {"hold", "of schedule cosine: share of the steps before the learning rate falls", 0, 0.999, field<&TrainOptions::hold>},
    {"decay", "of schedules step and plateau: factor on the learning rate", 0.001, 1, field<&TrainOptions::decay>},
    {"decay_every", "of schedule step: steps", 1, 0x1p53, field<&TrainOptions::decay_every>},
    {"patience", "of schedule plateau: validations without improvement", 1, 0x1p53, field<&TrainOptions::patience>},
    {"early_stop", "validations without improvement after which the training ends with the best weights; 0 is never", 0, 0x1p53, field<&TrainOptions::early_stop>},
    {"improvement", "of the loss of the held-out crops, for patience and early_stop; less is none", 0, kUnlimited, field<&TrainOptions::improvement>},
    {"seconds", "of training, after which it ends if the steps are not done before; 0 is no limit", 0, kUnlimited, field<&TrainOptions::seconds>},
    {"clip", "largest norm of a gradient", 1e-6, kUnlimited, field<&TrainOptions::clip>},
    {"average", "what the average of the weights keeps a step", 0, 0.999999, field<&TrainOptions::average>},
    {"balance", "of a codec: losses are multiplied by lambda to the power of -X", 0, 1, field<&TrainOptions::balance>},
    {"hyper_warm_up", "of a codec: steps until the bits of the hyper-latents count in full", 0, 0x1p53, field<&TrainOptions::hyper_warm_up>},
    {"quantiser", "of a codec: how the latents are rounded that its networks read: as the encoder does it, or to the nearest integers", 0, 0, field<&TrainOptions::quantiser>},
    {"charbonnier", "of a denoiser: errors below so many steps of 8 bits count by their squares, larger ones by their size", 1e-3, 1e6, field<&TrainOptions::charbonnier>},
    {"psnr_loss", "of a denoiser: what counts is each crop's PSNR, and charbonnier the root mean squared error below which it hardly does", 0, 0, field<&TrainOptions::psnr_loss>},
    {"fit_rounding", "of a denoiser in integers, before the first step: its weights, those of a network in floats, are rounded by least squares on so many crops of 160x160 pixels, so that it gives what that gives; 0 is to the nearest", 0, 10000, field<&TrainOptions::fit_rounding>},
    {"teacher", "of a denoiser: another one, a name or a file, to learn from, such as the same network in floats for one in integers; empty is none", 0, 0, field<&TrainOptions::teacher>},
    {"teacher_share", "of a denoiser with a teacher: the part of what it learns that the teacher says; the rest is the clean picture", 0, 1, field<&TrainOptions::teacher_share>},
    {"seed", "start of the random numbers", 0, 0x1p53, field<&TrainOptions::seed>},
    {"compute", "arithmetic; auto: bf16 if the CPU has it in hardware, else f32", 0, 0, field<&TrainOptions::compute>},
    {"validate_every", "steps between validations", 1, 0x1p53, field<&TrainOptions::validate_every>},
};
// clang-format on

std::string number_text(double value) {
    if (std::nearbyint(value) == value && std::abs(value) < 1e15) return std::to_string(int64_t(value));
    return OrderedJson(value).dump();
}

std::string range_text(const TrainingField& f) {
    return f.high >= 0x1p53 ? "at least " + number_text(f.low) : number_text(f.low) + " to " + number_text(f.high);
}

TrainOptions read_training(const OrderedJson& object) {
    TrainOptions options;
    std::set<std::string> known;
    for (const TrainingField& f : kFields) known.insert(f.key);
    check_keys(object, known, "training");
    for (const TrainingField& f : kFields) {
        if (!object.contains(f.key)) continue;
        std::visit([&](auto* member) { read_value(object[f.key], *member, std::string("training.") + f.key); }, f.of(options));
    }
    check(options);
    return options;
}

OrderedJson value_of(const TrainingField& f, TrainOptions options) {
    return std::visit([](const auto* member) { return write_value(*member); }, f.of(options));
}

void check_fits(const Description& changed, const Description& start) {
    const Parameters a(changed), b(start);
    const auto same = [](const Parameter& p, const Parameter& q) { return p.name == q.name && p.shape == q.shape; };
    if (!std::equal(a.list().begin(), a.list().end(), b.list().begin(), b.list().end(), same)) {
        throw Error(ErrorCode::invalid_argument, "networks: what is set does not fit the weights of the model that the training starts from");
    }
}

}  // namespace

std::string name_of(Optimiser optimiser) { return write_value(optimiser); }

std::span<const TrainingField> training_fields() { return kFields; }

std::string TrainingField::argument() const {
    TrainOptions options;
    return std::visit(
        []<class T>(const T*) -> std::string {
            if constexpr (std::is_enum_v<T>) {
                std::string words;
                for (const auto& [text, value] : names(T{})) words += (words.empty() ? "" : "|") + std::string(text);
                return words;
            } else if constexpr (std::is_same_v<T, bool>) {
                return "true|false";
            } else if constexpr (std::is_same_v<T, std::string>) {
                return "TEXT";
            } else {
                return std::is_integral_v<T> ? "N" : "X";
            }
        },
        of(options));
}

std::string TrainingField::preset() const {
    const OrderedJson value = value_of(*this, {});
    return value.is_string() ? value.get<std::string>() : value.is_number() ? number_text(value.get<double>()) : value.dump();
}

Recipe parse_recipe(const std::string& text, const std::vector<Assignment>& assignments, const Description* start) {
    JsonDocument document(text.empty() && start != nullptr ? "{}" : text);
    const auto located = [&](auto&& f) {
        try {
            return f();
        } catch (const Error& error) {
            throw document.located(Error(ErrorCode::model_mismatch, error.what()));
        }
    };
    bool is_other = false;  // than those of a model to start from
    located([&] {
        if (!document.root().is_object()) fail_json("model: an object is expected");
        is_other = start == nullptr || document.root().contains("networks");
        if (is_other) return;
        for (const auto& [key, value] : document.root().items()) {
            if (key != "training") fail_json(key + ": the model that the training starts from brings it; only \"training\" goes with that, or all with \"networks\"");
        }
        document.add(OrderedJson::parse(decant::to_json(*start)));
    });
    document.add({{"training", OrderedJson::object()}});
    // What a codec's description may leave out, so that it can be set.
    if (const OrderedJson& root = document.root(); root.contains("lambda") && root["lambda"].is_array()) {
        document.add({{"serves", {0, int(root["lambda"].size()) - 1}}, {"companion", ""}, {"gray", ""}});
    }
    for (const Assignment& a : assignments) document.set(a.path, a.value, a.origin);
    Recipe recipe = located([&] { return Recipe{read_description(document.root()), read_training(document.root()["training"])}; });
    if (!is_other) check_fits(recipe.description, *start);
    return recipe;
}

std::string to_json(const TrainOptions& options) {
    OrderedJson object;
    for (const TrainingField& f : kFields) {
        if (f.is_kept) object[f.key] = value_of(f, options);
    }
    return object.dump();
}

uint64_t fingerprint(const Recipe& recipe) {
    const std::string text = to_json(recipe.description) + "\n" + to_json(recipe.training) + "\n" + recipe.training.data;
    return XXH3_64bits(text.data(), text.size());
}

void check(const TrainOptions& o) {
    for (const TrainingField& f : kFields) {
        TrainOptions copy = o;
        const std::string where = std::string("training.") + f.key;
        std::visit(
            [&]<class T>(const T* member) {
                if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
                    if (!(double(*member) >= f.low && double(*member) <= f.high)) {
                        throw Error(ErrorCode::invalid_argument, where + ": " + number_text(double(*member)) + " is out of range, which is " + range_text(f));
                    }
                }
            },
            f.of(copy));
    }
    if (o.crop % kLatentStride != 0) throw Error(ErrorCode::invalid_argument, "training.crop: must be a multiple of 16");
    if (o.batch < o.shards || o.batch % o.shards != 0) throw Error(ErrorCode::invalid_argument, "training.batch: must be a multiple of shards");
    if (o.checkpoint_every < 1) throw Error(ErrorCode::invalid_argument, "training.checkpoint_every: must be at least 1");
}

}  // namespace decant
