// Which pictures of two lists belong together.
#include "tools/decant/pairs.h"

#include <doctest/doctest.h>

using namespace decant;
using namespace decant::cli;

namespace {

Input input(const std::string& folder, const std::string& relative) { return {folder + "/" + relative, relative, {}}; }

std::string problem_of(const Input& input) { return input.problem ? input.problem->what() : ""; }

}  // namespace

TEST_CASE("names decide, extensions do not, folders below do") {
    const Pairing pairing = pair_by_name({input("clean", "a.png"), input("clean", "deep/a.png")},
                                         {input("noisy", "deep/a.jpg"), input("noisy", "a.tif")}, "noisy");
    REQUIRE(pairing.pairs.size() == 2);
    CHECK(pairing.pairs[0].partner == "noisy/a.tif");
    CHECK(pairing.pairs[1].partner == "noisy/deep/a.jpg");
    CHECK(pairing.others.empty());
}

TEST_CASE("what has no partner says so, on both sides") {
    const Pairing pairing = pair_by_name({input("clean", "a.png"), input("clean", "b.png")},
                                         {input("noisy", "b.png"), input("noisy", "c.png")}, "noisy");
    REQUIRE(pairing.pairs.size() == 2);
    CHECK(pairing.pairs[0].partner.empty());
    CHECK(problem_of(pairing.pairs[0].reference) == "clean/a.png: no picture of that name is in noisy");
    CHECK(pairing.pairs[1].partner == "noisy/b.png");
    CHECK(problem_of(pairing.pairs[1].reference).empty());
    REQUIRE(pairing.others.size() == 1);
    CHECK(problem_of(pairing.others[0]) == "noisy/c.png: no reference picture has that name");
}

TEST_CASE("of two candidates with one name the first is taken, the other is left") {
    const Pairing pairing = pair_by_name({input("clean", "a.png")}, {input("noisy", "a.jpg"), input("noisy", "a.png")}, "noisy");
    CHECK(pairing.pairs.at(0).partner == "noisy/a.jpg");
    REQUIRE(pairing.others.size() == 1);
    CHECK(problem_of(pairing.others[0]) == "noisy/a.png: has the name of noisy/a.jpg");
}

TEST_CASE("problems that inputs come with stay theirs") {
    Input unreadable = input("clean", "a.png"), closed = input("noisy", "deep");
    unreadable.problem = closed.problem = Error(ErrorCode::io, "it cannot be listed");
    const Pairing pairing = pair_by_name({unreadable}, {input("noisy", "a.png"), closed}, "noisy");
    CHECK(pairing.pairs.at(0).partner.empty());
    CHECK(problem_of(pairing.pairs[0].reference) == "it cannot be listed");
    REQUIRE(pairing.others.size() == 1);
    CHECK(problem_of(pairing.others[0]) == "it cannot be listed");
}
