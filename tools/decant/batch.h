// Runs the jobs of a verb over several threads, and reports on each in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "codec/pipeline/worker_pool.h"
#include "tools/decant/failure.h"
#include "tools/decant/inputs.h"
#include "tools/decant/options.h"
#include "tools/decant/report.h"

namespace decant::cli {

// Bounds the pictures that are in memory at once, by their pixels of 8 bits a sample, in the order of arrival. One that is
// larger than the bound is let in alone.
class PictureGate {
public:
    void enter(uint64_t pixels);
    void leave(uint64_t pixels);

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    uint64_t inside_ = 0, next_ticket_ = 0, served_ = 0;
};

// A job's place among those that run at once: one thread of the budget and, once its picture is known, memory.
class Place {
public:
    Place(WorkerPool& pool, PictureGate& gate) : seat_(pool), gate_(gate) {}
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    // To be called before a picture of this size is allocated: waits until there is room for it. Others have the thread meanwhile.
    // depth: bits a sample; 16 need twice the room.
    void make_room(uint64_t pixels, int depth);

private:
    WorkerPool::Seat seat_;
    PictureGate& gate_;
    uint64_t pixels_ = 0;
};

// Does one job and fills in its report; throws when it fails. Called by several threads at once.
using Worker = std::function<void(const Job&, Place&, FileReport&)>;

// As many jobs at once as the pool has threads; what their codecs do in parallel comes from the same pool.
ExitCode run_batch(const std::vector<Job>& jobs, const Settings& settings, WorkerPool& pool, const Worker& worker);

// Writes a job's output: the whole file or nothing, with the input's time and mode, its folder made below --output-dir.
// Throws Error(cancelled) instead once the program was interrupted.
void write_output(const Job& job, std::span<const uint8_t> bytes, const Settings& settings);

}  // namespace decant::cli
