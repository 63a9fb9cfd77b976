/* Lets a program that runs under callgrind say between which two points its instructions are counted: what lies between
   two dumps is in the second. Zeroing in between would leave other threads, which wait, with counts below zero, and the
   request to dump that is made for programs writes the calling thread only; so valgrind's monitor is asked. */
#include <valgrind/callgrind.h>
void counting_begin(void) { CALLGRIND_START_INSTRUMENTATION; (void)VALGRIND_MONITOR_COMMAND("dump"); }
void counting_end(void) { (void)VALGRIND_MONITOR_COMMAND("dump"); CALLGRIND_STOP_INSTRUMENTATION; }
