/* hvsession.exe as an installed service, as tests see it. Functions end the test with a sentence
 * when something is not as expected (fail() of winhost.h). */
#ifndef HVS_TESTS_WINE_FIXTURE_H
#define HVS_TESTS_WINE_FIXTURE_H

#include <windows.h>

/* First of all: which hvsession.exe and which fake vmbuspipe.dll. Puts the library into the system
 * directory, and removes a service that a failed run may have left. */
void set_up(const char *program_path, const char *library_path);
/* Takes it out again. */
void remove_library(void);

/* Runs hvsession.exe with the arguments: it must exit with the status, and what it says must
 * contain that. */
void expect(const WCHAR *arguments, DWORD status, const char *contained);

/* Starts hvsession.exe with the arguments; its outputs go to the read end. Both are the caller's to
 * close. */
HANDLE start_program(const WCHAR *arguments, HANDLE *read_end);
/* All that comes out of it, until it is closed; cut at size. */
void read_output(HANDLE read_end, char *text, size_t size);

/* Installs and starts the service, with these settings. */
void start_service(const WCHAR *server, const WCHAR *server_timeout);
/* Stops it: it must be STOPPED within 2 s, and its process end. */
void stop_in_time(void);
/* Its status document has that in it, within LONG_TIME. */
void wait_status(const char *contained);
/* With all rights; the caller's to close. */
SC_HANDLE open_service(void);
/* The id of its process. */
DWORD service_process(void);

#endif
