/* The one way out when a measurement cannot be made. */
#ifndef BENCH_FAILURE_H
#define BENCH_FAILURE_H

#define EXIT_SHORT   1 /* a goal was missed */
#define EXIT_TROUBLE 2 /* the bench itself did not get through */

/* Prints "relay-bench: …", with the text of error (an errno value) behind it unless that is 0, and
 * ends the process with EXIT_TROUBLE. Any thread, any process of the bench. */
__attribute__((format(printf, 2, 3), noreturn)) void fail(int error, const char *format, ...);

#endif
