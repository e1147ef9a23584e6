// The processes that work on one thing together, on one machine or several: started by mpirun, or this one alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace decant {

// For one thread at a time. All ranks must make the same calls in the same order, but for next().
class Ranks {
public:
    // Under mpirun those of MPI, which live in a module of their own; Error unsupported where that is missing (it is built with
    // -DDECANT_MPI=ON). Otherwise one rank, of which every sum is what it was.
    static std::unique_ptr<Ranks> start();

    static std::unique_ptr<Ranks> alone();  // one rank, whatever started it

    // Ends all ranks at once unless finish() was called: the others would wait for this one.
    virtual ~Ranks() = default;

    virtual int rank() const = 0;  // 0 … size() - 1
    virtual int size() const = 0;
    // Of all ranks, the same to the last bit on each.
    virtual void sum(std::span<float> values) = 0;
    virtual void sum(std::span<double> values) = 0;
    // 0, 1, 2, …: each number to one caller on one rank.
    virtual int64_t next() = 0;
    virtual void finish() = 0;
};

}  // namespace decant
