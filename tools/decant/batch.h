// Runs the jobs of a verb over several threads, and reports on each in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "codec/io/file.h"
#include "codec/pipeline/worker_pool.h"
#include "tools/decant/failure.h"
#include "tools/decant/inputs.h"
#include "tools/decant/options.h"
#include "tools/decant/report.h"

namespace decant::cli {

// Of a picture in memory, with what reading or writing its file takes beside it.
constexpr uint64_t bytes_of_picture(uint64_t pixels, int depth) { return 2 * pixels * 3 * static_cast<uint64_t>(depth / 8); }

// The threads that --threads and --max-memory allow: half of the memory is theirs. Throws Error invalid_argument where it is not enough
// for one.
std::shared_ptr<WorkerPool> make_pool(const Settings& settings);

// Bounds the pictures that are in memory at once, in the order of arrival.
class PictureGate {
public:
    explicit PictureGate(uint64_t most) : most_(most) {}

    // Throws Error limit for a picture that takes more than all.
    void enter(uint64_t bytes);
    void leave(uint64_t bytes);

private:
    const uint64_t most_;
    std::mutex mutex_;
    std::condition_variable changed_;
    uint64_t inside_ = 0, next_ticket_ = 0, served_ = 0;
};

// A job's place among those that run at once: one thread of the budget and, once its picture is known, memory.
class Place {
public:
    Place(const Job& job, WorkerPool& pool, PictureGate& gate) : job_(job), seat_(pool), gate_(gate) {}
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    // To be called before a picture is allocated: waits until there is room for it. Others have the thread meanwhile. Throws Error limit
    // where there will never be.
    void make_room(uint64_t bytes);
    void make_room(uint64_t pixels, int depth) { make_room(bytes_of_picture(pixels, depth)); }

private:
    const Job& job_;
    WorkerPool::Seat seat_;
    PictureGate& gate_;
    uint64_t bytes_ = 0;
};

// Does one job and fills in its report; throws when it fails. Called by several threads at once.
using Worker = std::function<void(const Job&, Place&, FileReport&)>;

// As many jobs at once as the pool has threads; what their codecs do in parallel comes from the same pool.
ExitCode run_batch(const std::vector<Job>& jobs, const Settings& settings, WorkerPool& pool, const Worker& worker);

// A job's output while it is written: the whole file or nothing, with the input's time and mode, its folder made below --output-dir. The
// file is begun with the first bytes.
class Output {
public:
    Output(const Job& job, const Settings& settings) : job_(job), settings_(settings) {}

    // Throw Error(cancelled) once the program was interrupted, and what AtomicFile throws.
    void write(std::span<const uint8_t> bytes);
    void commit();

    uint64_t bytes() const { return bytes_; }  // written so far

private:
    const Job& job_;
    const Settings& settings_;
    std::optional<AtomicFile> file_;
    uint64_t bytes_ = 0;
};

// An Output in one call.
void write_output(const Job& job, std::span<const uint8_t> bytes, const Settings& settings);

}  // namespace decant::cli
