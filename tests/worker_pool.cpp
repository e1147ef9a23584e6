// Tasks of one caller and of several, with dependencies, failures and a budget that is never exceeded.
#include "codec/pipeline/worker_pool.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "codec/error.h"

using namespace decant;

namespace {

// How many run at once, and the most that ever did.
class Gauge {
public:
    void enter() {
        const int now = ++current_;
        int most = most_;
        while (most < now && !most_.compare_exchange_weak(most, now)) {}
    }
    void leave() { --current_; }
    int most() const { return most_; }

private:
    std::atomic<int> current_{0}, most_{0};
};

// `count` tasks, each with its number.
template <class F>
void run_all(WorkerPool& pool, int count, F&& f) {
    int next = 0;
    pool.run([&]() -> WorkerPool::Task {
        if (next == count) return {};
        return [&f, i = next++] { f(i); };
    });
}

}  // namespace

TEST_CASE("each task runs once, whatever the number of threads") {
    for (const int threads : {1, 2, 3, 8}) {
        WorkerPool pool(threads);
        CHECK(pool.threads() == threads);
        for (const int count : {0, 1, 2, 100}) {
            std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
            run_all(pool, count, [&](int i) { runs[static_cast<size_t>(i)]++; });
            CHECK(std::all_of(runs.begin(), runs.end(), [](const auto& r) { return r == 1; }));
        }
    }
}

TEST_CASE("a task that depends on another one waits for it") {
    for (const int threads : {1, 2, 5}) {
        WorkerPool pool(threads);
        // A chain: each can start when the one before has ended.
        std::atomic<int> done{0};
        int started = 0;
        pool.run([&]() -> WorkerPool::Task {
            if (started == 50 || done < started) return {};
            started++;
            return [&] { done++; };
        });
        CHECK(done == 50);
    }
}

TEST_CASE("the first failure reaches the caller, and no more tasks start") {
    for (const int threads : {1, 4}) {
        WorkerPool pool(threads);
        std::atomic<int> runs{0};
        CHECK_THROWS_WITH_AS(run_all(pool, 1000,
                                     [&](int i) {
                                         runs++;
                                         if (i == 3) throw Error(ErrorCode::corrupt, "third");
                                         if (i > 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                                     }),
                             "third", Error);
        CHECK(runs < 1000);
        // The one that gives tasks may fail as well.
        CHECK_THROWS_AS(pool.run([]() -> WorkerPool::Task { throw std::runtime_error("no"); }), std::runtime_error);
        // And the pool is as good as before.
        runs = 0;
        run_all(pool, 20, [&](int) { runs++; });
        CHECK(runs == 20);
    }
}

TEST_CASE("several callers share one budget") {
    WorkerPool pool(3);
    Gauge gauge;
    std::atomic<int> runs{0};
    {
        std::vector<std::jthread> callers;
        for (int c = 0; c < 6; c++) {
            callers.emplace_back([&] {
                run_all(pool, 40, [&](int) {
                    gauge.enter();
                    std::this_thread::sleep_for(std::chrono::microseconds(200));
                    runs++;
                    gauge.leave();
                });
            });
        }
    }
    CHECK(runs == 240);
    // A caller that comes back from waiting for the last tasks of others may be one more for a moment.
    CHECK(gauge.most() <= 4);
}

TEST_CASE("a seat counts, and is not counted twice") {
    WorkerPool pool(1);
    std::atomic<bool> inside{false};
    std::atomic<int> order{0};
    int first = 0, second = 0;
    std::jthread other;
    {
        const WorkerPool::Seat seat(pool);
        const WorkerPool::Seat again(pool);  // nothing happens: this thread has one
        other = std::jthread([&] {
            inside = true;
            const WorkerPool::Seat theirs(pool);
            second = ++order;
        });
        while (!inside) std::this_thread::yield();
        int runs = 0;
        run_all(pool, 5, [&](int) { runs++; });
        CHECK(runs == 5);
        first = ++order;
    }
    other.join();
    CHECK(first == 1);
    CHECK(second == 2);
}

TEST_CASE("a seat that is left for a wait lets others in") {
    WorkerPool pool(1);
    WorkerPool::Seat seat(pool);
    seat.leave();
    int runs = 0;
    std::jthread([&] { run_all(pool, 3, [&](int) { runs++; }); }).join();
    CHECK(runs == 3);
    seat.take();
    run_all(pool, 2, [&](int) { runs++; });
    CHECK(runs == 5);
}

TEST_CASE("inside a task OpenMP has one thread, outside what it had") {
    omp_set_num_threads(3);
    WorkerPool pool(2);
    std::atomic<int> most{0};
    run_all(pool, 10, [&](int) { most = std::max<int>(most, omp_get_max_threads()); });
    CHECK(most == 1);
    CHECK(omp_get_max_threads() == 3);
    omp_set_num_threads(omp_get_num_procs());
}
