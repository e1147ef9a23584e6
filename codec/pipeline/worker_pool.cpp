#include "codec/pipeline/worker_pool.h"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

namespace decant {
namespace {

// OpenMP's number of threads is a property of the calling thread.
class SingleThreaded {
public:
    SingleThreaded() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
    ~SingleThreaded() { omp_set_num_threads(before_); }
    SingleThreaded(const SingleThreaded&) = delete;
    SingleThreaded& operator=(const SingleThreaded&) = delete;

private:
    int before_;
};

}  // namespace

struct WorkerPool::Job {
    const std::function<Task()>& next;
    int running = 0;
    bool is_waiting = false;  // `next` gave nothing, and no task has ended since
    std::exception_ptr failure = nullptr;

    bool may_start() const { return !is_waiting && failure == nullptr; }
};

WorkerPool::WorkerPool(int threads) : threads_(threads > 0 ? threads : std::max(1, omp_get_num_procs())), free_(threads_) {}

WorkerPool::~WorkerPool() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
}

WorkerPool::Job* WorkerPool::find_job() {
    const auto found = std::find_if(jobs_.begin(), jobs_.end(), [](const Job* job) { return job->may_start(); });
    return found == jobs_.end() ? nullptr : *found;
}

// One more helper, if there may be work for it: each calls the next one when it has found a task.
void WorkerPool::call_helper() {
    if (free_ <= waiting_ || find_job() == nullptr) return;
    if (idle_ > 0) {
        changed_.notify_all();
    } else if (int(helpers_.size()) < threads_ - 1) {
        try {
            helpers_.emplace_back([this] { help(); });
        } catch (const std::system_error&) {
            // The system has no more threads: those that there are do the work.
        }
    }
}

// Whether there was a task to run.
bool WorkerPool::run_one(Job& job, std::unique_lock<std::mutex>& lock) {
    try {
        Task task = job.next();
        if (!task) {
            job.is_waiting = true;
            return false;
        }
        job.running++;
        call_helper();
        lock.unlock();
        try {
            task();
            task = nullptr;  // what it holds goes before others are told that it has ended
            lock.lock();
        } catch (...) {
            lock.lock();
            if (job.failure == nullptr) job.failure = std::current_exception();
        }
        job.running--;
        job.is_waiting = false;
        changed_.notify_all();
        return true;
    } catch (...) {
        if (job.failure == nullptr) job.failure = std::current_exception();
        return false;
    }
}

void WorkerPool::help() {
    const SingleThreaded single;
    std::unique_lock lock(mutex_);
    while (true) {
        idle_++;
        changed_.wait(lock, [&] { return stopping_ || (free_ > waiting_ && find_job() != nullptr); });
        idle_--;
        if (stopping_) return;
        free_--;
        if (Job* job = find_job(); job != nullptr) run_one(*job, lock);
        free_++;
        changed_.notify_all();
    }
}

void WorkerPool::run(const std::function<Task()>& next) {
    const SingleThreaded single;
    const Seat seat(*this);
    Job job{next};
    std::unique_lock lock(mutex_);
    const auto place = jobs_.insert(jobs_.end(), &job);
    while (true) {
        if (job.may_start() && run_one(job, lock)) continue;
        if (job.running == 0) break;
        // Others may have this thread's place in the budget while it waits for them.
        free_++;
        changed_.notify_all();
        changed_.wait(lock, [&] { return job.running == 0 || job.may_start(); });
        free_--;
    }
    jobs_.erase(place);
    lock.unlock();
    if (job.failure != nullptr) std::rethrow_exception(job.failure);
}

WorkerPool::Seat::Seat(WorkerPool& pool) : pool_(pool) {
    {
        const std::lock_guard lock(pool_.mutex_);
        if (pool_.seated_.contains(std::this_thread::get_id())) return;
    }
    take();
}

WorkerPool::Seat::~Seat() { leave(); }

void WorkerPool::Seat::take() {
    std::unique_lock lock(pool_.mutex_);
    pool_.waiting_++;
    pool_.changed_.wait(lock, [&] { return pool_.free_ > 0; });
    pool_.waiting_--;
    pool_.free_--;
    pool_.seated_.insert(std::this_thread::get_id());
    taken_ = true;
}

void WorkerPool::Seat::leave() {
    if (!taken_) return;
    {
        const std::lock_guard lock(pool_.mutex_);
        pool_.seated_.erase(std::this_thread::get_id());
        pool_.free_++;
        pool_.call_helper();
    }
    taken_ = false;
    pool_.changed_.notify_all();
}

}  // namespace decant
