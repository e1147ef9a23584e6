#include "codec/engine/codec_weights.h"

namespace decant {

CodecWeights::CodecWeights(const Description& description, const Parameters& parameters, WeightOptions options)
    : description_(description), parameters_(&parameters), options_(options), networks_(description.networks.size()), integers_(description.networks.size()) {}

void CodecWeights::update(const Parameters& parameters, int first, int of) {
    for (auto& n : networks_) {
        if (n != nullptr) n->update(parameters, first, of);
    }
}

NetworkWeights& CodecWeights::operator[](std::string_view name) {
    const Network& network = description_.network(name);
    auto& slot = networks_[size_t(&network - description_.networks.data())];
    std::lock_guard lock(mutex_);
    if (slot == nullptr) slot = std::make_unique<NetworkWeights>(network, *parameters_, options_);
    return *slot;
}

IntegerWeights& CodecWeights::integers(std::string_view name) {
    const Network& network = description_.network(name);
    auto& slot = integers_[size_t(&network - description_.networks.data())];
    std::lock_guard lock(mutex_);
    if (slot == nullptr) slot = std::make_unique<IntegerWeights>(network, *parameters_);
    return *slot;
}

}  // namespace decant
