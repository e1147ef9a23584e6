#include "codec/ranks/ranks.h"

#include <cstdlib>
#include <string>

#include "codec/error.h"
#include "codec/image/shared_module.h"
#include "codec/ranks/mpi_abi.h"

namespace decant {
namespace {

constexpr ModuleText module_text = {"decant_mpi.so", "Several ranks (mpirun) need", "MPI", ", or run it without mpirun"};

class OneRank : public Ranks {
public:
    int rank() const override { return 0; }
    int size() const override { return 1; }
    void sum(std::span<float>) override {}
    void sum(std::span<double>) override {}
    int64_t next() override { return next_++; }
    void finish() override {}

private:
    int64_t next_ = 0;
};

class MpiRanks : public Ranks {
public:
    MpiRanks() : module_(module_text, module_folders()) {
        const int status = module_.function<decant_mpi_start_function>("decant_mpi_start")(&rank_, &size_);
        if (status != 0) throw Error(ErrorCode::io, "MPI does not start (error " + std::to_string(status) + ")");
    }
    ~MpiRanks() override {
        if (!finished_) module_.function<decant_mpi_finish_function>("decant_mpi_finish")(1);
    }
    int rank() const override { return rank_; }
    int size() const override { return size_; }
    void sum(std::span<float> values) override { check(module_.function<decant_mpi_sum_floats_function>("decant_mpi_sum_floats")(values.data(), int64_t(values.size()))); }
    void sum(std::span<double> values) override { check(module_.function<decant_mpi_sum_doubles_function>("decant_mpi_sum_doubles")(values.data(), int64_t(values.size()))); }
    int64_t next() override {
        int64_t value = 0;
        check(module_.function<decant_mpi_next_function>("decant_mpi_next")(&value));
        return value;
    }
    void finish() override {
        finished_ = true;
        module_.function<decant_mpi_finish_function>("decant_mpi_finish")(0);
    }

private:
    static void check(int status) {
        if (status != 0) throw Error(ErrorCode::io, "the ranks have lost each other (MPI error " + std::to_string(status) + ")");
    }

    SharedModule module_;
    int rank_ = 0, size_ = 1;
    bool finished_ = false;
};

// What Open MPI, MPICH and their relatives tell the processes that they start.
bool is_started_by_mpirun() {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
        if (std::getenv(name) != nullptr) return true;
    }
    return false;
}

}  // namespace

std::unique_ptr<Ranks> Ranks::start() {
    if (is_started_by_mpirun()) return std::make_unique<MpiRanks>();
    return alone();
}

std::unique_ptr<Ranks> Ranks::alone() { return std::make_unique<OneRank>(); }

}  // namespace decant
