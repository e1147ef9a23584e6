#include "tools/decant/batch.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <thread>

#include "codec/io/file.h"
#include "tools/decant/console.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// What a run takes, measured: the program with its libraries and the model; the networks of a thread.
constexpr uint64_t kProgramBytes = 160'000'000, kThreadBytes = 96'000'000;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// A device or a pipe is there to be written to.
bool is_taken(const std::string& path) {
    if (path == "-") return false;
    std::error_code error;
    const fs::file_type type = fs::symlink_status(path, error).type();
    return type == fs::file_type::regular || (type == fs::file_type::symlink && !fs::is_other(path, error));
}

uint64_t picture_bytes(const Settings& settings, int threads) {
    const uint64_t taken = kProgramBytes + kThreadBytes * static_cast<uint64_t>(threads);
    return settings.max_memory.value - std::min(settings.max_memory.value, taken);
}

class Batch {
public:
    Batch(const std::vector<Job>& jobs, const Settings& settings, WorkerPool& pool, const Worker& worker)
        : jobs_(jobs), settings_(settings), ranks_(*settings.ranks), pool_(pool), worker_(worker), gate_(picture_bytes(settings, pool.threads())), finished_(jobs.size()) {}

    ExitCode run() {
        {
            std::vector<std::jthread> threads;
            for (size_t i = 0; i < std::min(static_cast<size_t>(pool_.threads()), jobs_.size()); ++i)
                threads.emplace_back([&] { work(); });
        }
        clear_progress();
        if (broken_) std::rethrow_exception(broken_);
        // What was finished behind a job that an interruption ended.
        for (; reported_ < jobs_.size(); ++reported_)
            if (finished_[reported_].is_done) tell(finished_[reported_]);
        add_up_ranks();
        summarise();
        return was_cut_short() ? ExitCode::interrupted : status_.code();
    }

private:
    struct Finished {
        bool is_done = false;
        FileReport report;
        ExitCode code = ExitCode::done;
    };

    void work() {
        try {
            for (size_t index = 0; take(index);) finish(index, do_job(jobs_[index]));
        } catch (const Error& error) {
            if (error.code() != ErrorCode::cancelled) stop_with(std::current_exception());
        } catch (...) {
            stop_with(std::current_exception());
        }
    }

    bool take(size_t& index) {
        const std::lock_guard lock(mutex_);
        if (stopped_ || is_interrupted()) return false;
        index = static_cast<size_t>(ranks_.next());
        return index < jobs_.size();
    }

    void stop_with(std::exception_ptr failure) {
        const std::lock_guard lock(mutex_);
        if (!broken_) broken_ = std::move(failure);
        stopped_ = true;
    }

    Finished do_job(const Job& job) {
        Finished result;
        FileReport& report = result.report;
        report.input = job.input;
        report.output = job.output;
        Place place(job, pool_, gate_);
        const Clock::time_point start = Clock::now();
        try {
            if (job.problem) throw *job.problem;
            if (!is_skipped(job, report)) worker_(job, place, report);
        } catch (...) {
            const Failure failure = current_failure(job.input);
            report.status = Status::failed;
            report.error = failure.message;
            result.code = failure.code;
        }
        report.seconds = seconds_since(start);
        return result;
    }

    bool is_skipped(const Job& job, FileReport& report) const {
        const bool exists = is_taken(job.output);
        if (exists && settings_.skip_existing) {
            report.reason = "it exists";
        } else if (exists && !settings_.force) {
            throw Error(ErrorCode::exists, job.output + ": exists already; -f overwrites, --skip-existing passes over it");
        } else if (settings_.dry_run) {
            report.reason = "a dry run";
        } else {
            return false;
        }
        report.status = Status::skipped;
        return true;
    }

    // Reports what is finished in the order of the jobs.
    void finish(size_t index, Finished result) {
        const std::lock_guard lock(mutex_);
        if (result.code != ExitCode::done && settings_.fail_fast) stopped_ = true;
        finished_[index] = std::move(result);
        finished_[index].is_done = true;
        ++done_;
        // Among several ranks, in the order in which this one finishes: what lies between is done by others.
        if (ranks_.size() > 1) {
            tell(finished_[index]);
            finished_[index] = {};
        }
        for (; reported_ < jobs_.size() && finished_[reported_].is_done; ++reported_) {
            tell(finished_[reported_]);
            finished_[reported_].report = {};
        }
        progress();
    }

    void tell(const Finished& result) {
        const FileReport& report = result.report;
        status_.add(result.code);
        if (settings_.json) print(to_json_line(report));
        if (report.status == Status::failed) {
            ++failed_;
            complain(report.error);
            return;
        }
        for (const std::string& text : report.notes) note(input_name(report.input) + ": " + text);
        if (report.status == Status::ok) {
            ++succeeded_;
            input_bytes_ += report.input_bytes.value_or(0);
            output_bytes_ += report.output_bytes.value_or(0);
            pixels_ += report.pixels();
        } else {
            ++skipped_;
        }
        if (settings_.dry_run || jobs_.size() == 1)
            note(to_words(report));
        else
            detail(to_words(report));
    }

    void progress() const {
        const double seconds = seconds_since(start_);
        const double rate = static_cast<double>(done_) / std::max(seconds, 1e-9);
        if (jobs_.size() > 1 && seconds > 0.5)
            show_progress(std::to_string(done_) + " of " + std::to_string(jobs_.size()) + " files, " + fixed(rate, 1) +
                          " files/s, " + duration(static_cast<double>(jobs_.size() - done_) / rate) + " left");
    }

    // Counts of all ranks, for the one that tells them.
    void add_up_ranks() {
        const auto worst = [this](ExitCode code) { return status_.code() == code ? 1.0 : 0.0; };
        std::array<double, 9> sums{double(done_),         double(succeeded_), double(skipped_),          double(failed_), double(input_bytes_),
                                   double(output_bytes_), double(pixels_),    worst(ExitCode::damaged), worst(ExitCode::failed)};
        ranks_.sum(sums);
        done_ = size_t(sums[0]);
        succeeded_ = size_t(sums[1]);
        skipped_ = size_t(sums[2]);
        failed_ = size_t(sums[3]);
        input_bytes_ = uint64_t(sums[4]);
        output_bytes_ = uint64_t(sums[5]);
        pixels_ = uint64_t(sums[6]);
        if (sums[7] > 0) status_.add(ExitCode::damaged);
        if (sums[8] > 0) status_.add(ExitCode::failed);
    }

    bool was_cut_short() const { return done_ < jobs_.size() && is_interrupted(); }

    void summarise() const {
        if (was_cut_short())
            complain("interrupted: " + std::to_string(done_) + " of " + std::to_string(jobs_.size()) +
                     " files were worked on; the same command with --skip-existing does the others");
        if (jobs_.size() == 1 || settings_.dry_run) return;
        std::string line = std::to_string(succeeded_) + " of " + count_of(jobs_.size(), "file");
        if (succeeded_ > 0)
            line += ": " + byte_size(input_bytes_) + " -> " + byte_size(output_bytes_) + ", " +
                    fixed(static_cast<double>(pixels_) / 1e6, 1) + " megapixels in " + duration(seconds_since(start_));
        if (skipped_ > 0) line += "; " + std::to_string(skipped_) + " skipped";
        if (failed_ > 0) line += "; " + std::to_string(failed_) + " failed";
        note(line);
    }

    const std::vector<Job>& jobs_;
    const Settings& settings_;
    Ranks& ranks_;
    WorkerPool& pool_;
    const Worker& worker_;
    PictureGate gate_;
    const Clock::time_point start_ = Clock::now();
    std::mutex mutex_;
    std::vector<Finished> finished_;
    size_t done_ = 0, reported_ = 0, succeeded_ = 0, skipped_ = 0, failed_ = 0;
    uint64_t input_bytes_ = 0, output_bytes_ = 0, pixels_ = 0;
    bool stopped_ = false;
    ExitStatus status_;
    std::exception_ptr broken_;
};

}  // namespace

std::shared_ptr<WorkerPool> make_pool(const Settings& settings) {
    const uint64_t memory = settings.max_memory.value;
    if (constexpr uint64_t least = kProgramBytes + kThreadBytes; memory < least)
        throw Error(ErrorCode::invalid_argument, "--max-memory " + std::to_string(memory) + ": at least " + std::to_string(least) + " is needed");
    const uint64_t most = (memory / 2 - std::min(memory / 2, kProgramBytes)) / kThreadBytes;
    const uint64_t wanted = settings.threads > 0 ? static_cast<uint64_t>(settings.threads) : std::max(1U, std::thread::hardware_concurrency());
    return std::make_shared<WorkerPool>(static_cast<int>(std::min(wanted, std::max<uint64_t>(1, most))));
}

void PictureGate::enter(uint64_t bytes) {
    if (bytes > most_)
        throw Error(ErrorCode::limit, "takes " + byte_size(bytes) + " of memory, " + byte_size(most_) +
                                          " of --max-memory are left for pictures; raise it, or convert the picture to PNG or PPM, which are "
                                          "encoded row by row");
    std::unique_lock lock(mutex_);
    const uint64_t ticket = next_ticket_++;
    changed_.wait(lock, [&] { return served_ == ticket && inside_ + bytes <= most_; });
    ++served_;
    inside_ += bytes;
    changed_.notify_all();
}

void PictureGate::leave(uint64_t bytes) {
    {
        const std::lock_guard lock(mutex_);
        inside_ -= bytes;
    }
    changed_.notify_all();
}

Place::~Place() { gate_.leave(bytes_); }

void Place::make_room(uint64_t bytes) {
    struct Pause {
        WorkerPool::Seat& seat;
        explicit Pause(WorkerPool::Seat& s) : seat(s) { seat.leave(); }
        ~Pause() { seat.take(); }
    };
    const Pause pause(seat_);
    in_file(job_.input, [&] { gate_.enter(bytes); });
    bytes_ += bytes;
}

ExitCode run_batch(const std::vector<Job>& jobs, const Settings& settings, WorkerPool& pool, const Worker& worker) {
    return Batch(jobs, settings, pool, worker).run();
}

void Output::write(std::span<const uint8_t> bytes) {
    stop_if_interrupted();
    if (!file_) {
        if (!settings_.output_dir.empty()) {
            const fs::path folder = fs::path(job_.output).parent_path();
            std::error_code error;
            fs::create_directories(folder, error);
            if (error) throw Error(ErrorCode::io, folder.string() + ": the folder cannot be made: " + error.message());
        }
        FileWriteOptions options;
        options.overwrite = settings_.force;
        options.attributes_from = job_.input;
        file_.emplace(job_.output, options);
    }
    file_->write(bytes);
    bytes_ += bytes.size();
}

void Output::commit() {
    stop_if_interrupted();
    file_->commit();
}

void write_output(const Job& job, std::span<const uint8_t> bytes, const Settings& settings) {
    Output output(job, settings);
    output.write(bytes);
    output.commit();
}

}  // namespace decant::cli
