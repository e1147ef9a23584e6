#include "tools/decant/pairs.h"

#include <filesystem>
#include <map>

namespace decant::cli {
namespace {

std::string name_of(const Input& input) { return std::filesystem::path(input.relative).replace_extension().string(); }

Input with_problem(Input input, const std::string& text) {
    if (!input.problem) input.problem = Error(ErrorCode::not_found, input.path + ": " + text);
    return input;
}

}  // namespace

Pairing pair_by_name(const std::vector<Input>& references, const std::vector<Input>& candidates,
                     const std::string& candidates_name) {
    Pairing result;
    struct Candidate {
        const Input* input;
        bool is_taken = false;
    };
    std::map<std::string, Candidate> by_name;
    for (const Input& candidate : candidates) {
        if (candidate.problem) {
            result.others.push_back(candidate);
        } else if (const auto [other, is_new] = by_name.emplace(name_of(candidate), Candidate{&candidate}); !is_new) {
            result.others.push_back(with_problem(candidate, "has the name of " + other->second.input->path));
        }
    }
    for (const Input& reference : references) {
        Pair pair{reference, ""};
        if (const auto found = by_name.find(name_of(reference)); found == by_name.end()) {
            pair.reference = with_problem(reference, "no picture of that name is in " + candidates_name);
        } else {
            if (!reference.problem) pair.partner = found->second.input->path;
            found->second.is_taken = true;
        }
        result.pairs.push_back(std::move(pair));
    }
    for (const auto& [name, candidate] : by_name)
        if (!candidate.is_taken) result.others.push_back(with_problem(*candidate.input, "no reference picture has that name"));
    return result;
}

}  // namespace decant::cli
