/* Lets a program that runs under callgrind say between which two points its instructions are counted. */
#include <valgrind/callgrind.h>
void counting_begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void counting_end(void) { CALLGRIND_DUMP_STATS; CALLGRIND_STOP_INSTRUMENTATION; }
