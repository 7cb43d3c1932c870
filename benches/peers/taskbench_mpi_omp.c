/* Task Bench on MPI with OpenMP: the ranks exchange as in `taskbench_mpi.c`, a rank's points are a parallel loop. */
#define POINTS_ARE_A_PARALLEL_LOOP
#include "taskbench_mpi.c"
