// All networks of a codec, ready to run; shared by the threads that run them.
#pragma once

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "codec/engine/graph.h"
#include "codec/engine/integer_graph.h"

namespace decant {

class CodecWeights {
public:
    // Both must outlive this. A network is prepared when it is first asked for: decoding never pays for the analysis.
    CodecWeights(const Description& description, const Parameters& parameters, WeightOptions options = {});

    // Takes new values, of every `of`-th layer from `first` on.
    void update(const Parameters& parameters, int first = 0, int of = 1);
    NetworkWeights& operator[](std::string_view network);
    // The same network in integers; these do not follow updates.
    IntegerWeights& integers(std::string_view network);

private:
    const Description& description_;
    const Parameters* parameters_;
    WeightOptions options_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<NetworkWeights>> networks_;
    std::vector<std::unique_ptr<IntegerWeights>> integers_;
};

}  // namespace decant
