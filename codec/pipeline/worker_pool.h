// One budget of threads for everything that runs at once: the tasks of one picture, or of several.
//
// Tasks are windows and tiles of some milliseconds each, and every task has one thread: nothing inside a task waits for other threads,
// so a busy core delays the one task that has it and no other.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace decant {

class WorkerPool {
    struct Job;

public:
    using Task = std::function<void()>;

    explicit WorkerPool(int threads = 0);  // 0: all cores
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    int threads() const { return threads_; }

    // Runs tasks on the calling thread and on those that are free. `next` gives them: it is called by one thread at a time, and gives
    // an empty Task while none can start before another has ended. Returns when nothing runs and nothing can start.
    // After an exception, in a task or in `next`, no more tasks start, and the first one is thrown on when all have ended.
    // Inside a task OpenMP has one thread. Several threads may call this at once; a task must not.
    void run(const std::function<Task()>& next);

    // Counts the thread that made it as one of the budget while it works on something of its own, such as a file: the constructor
    // waits until one is free. `run` then takes no further one for it. To be destroyed by the same thread.
    class Seat {
    public:
        explicit Seat(WorkerPool& pool);
        ~Seat();
        Seat(const Seat&) = delete;
        Seat& operator=(const Seat&) = delete;

        // Gives the seat back for a wait, and takes one again.
        void leave();
        void take();

    private:
        WorkerPool& pool_;
        bool taken_ = false;
    };

private:
    void help();
    bool run_one(Job& job, std::unique_lock<std::mutex>& lock);
    void call_helper();
    Job* find_job();

    const int threads_;
    std::mutex mutex_;
    std::condition_variable changed_;
    int free_;         // threads of the budget that nobody uses; below 0 for a moment where a thread comes back from waiting
    int waiting_ = 0;  // seats that are waited for; they come before helpers
    int idle_ = 0;     // helpers that wait
    bool stopping_ = false;
    std::list<Job*> jobs_;
    std::set<std::thread::id> seated_;
    std::vector<std::jthread> helpers_;  // made when there is work for them
};

}  // namespace decant
