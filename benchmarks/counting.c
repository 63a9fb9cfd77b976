/* Lets a program that runs under callgrind say between which two points its instructions are counted: what lies between
   two dumps is in the second. (Zeroing in between leaves other threads, which wait, with counts below zero.) */
#include <valgrind/callgrind.h>
void counting_begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_DUMP_STATS; }
void counting_end(void) { CALLGRIND_DUMP_STATS; CALLGRIND_STOP_INSTRUMENTATION; }
