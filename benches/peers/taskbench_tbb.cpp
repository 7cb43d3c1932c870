/* Task Bench on TBB's flow graph: one continue_node a task, built before the clock starts. */
#include "task_graph.h"
#include <memory>
#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <vector>

using Node = oneapi::tbb::flow::continue_node<oneapi::tbb::flow::continue_msg>;

int main(int count, char **words) {
    sweep s = parse(count, words);
    const char *threads = getenv("OMP_NUM_THREADS");
    oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism, threads ? atoi(threads) : 2);
    int **before = all_dependencies(&s);
    std::vector<stamp> stamps((size_t)s.steps * s.width); // one a task: readers of a shared one would need edges
    unsigned iterations = 0;
    oneapi::tbb::flow::graph graph;
    std::vector<std::unique_ptr<Node>> nodes;
    for (int task = 0; task < s.steps * s.width; task++) {
        int step = task / s.width, point = task % s.width, *list = before[task];
        stamp *here = &stamps[task], *from = &stamps[(size_t)(step > 0 ? step - 1 : 0) * s.width];
        nodes.push_back(std::make_unique<Node>(graph, [=, &iterations](const oneapi::tbb::flow::continue_msg &) {
            for (int i = 1; i <= list[0]; i++) check_stamp(from[list[i]], step - 1, list[i]);
            kernel(iterations);
            *here = stamp{(uint64_t)step, (uint64_t)point};
        }));
        for (int i = 1; i <= list[0]; i++)
            oneapi::tbb::flow::make_edge(*nodes[(size_t)(step - 1) * s.width + list[i]], *nodes[task]);
    }
    for (int round = 0; round < s.rounds; round++) {
        for (int i = 0; i < s.sizes; i++) {
            iterations = s.iterations[i];
            double begin = now();
            for (int task = 0; task < s.steps * s.width; task++)
                if (before[task][0] == 0) nodes[task]->try_put(oneapi::tbb::flow::continue_msg());
            graph.wait_for_all();
            keep_shortest(&s.seconds[i], now() - begin);
        }
    }
    report(s);
}
