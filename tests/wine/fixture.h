/* hvsession.exe as an installed service, as tests see it. Functions end the test with a sentence
 * when something is not as expected (fail() of winhost.h). */
#ifndef HVS_TESTS_WINE_FIXTURE_H
#define HVS_TESTS_WINE_FIXTURE_H

#include <windows.h>

#include <stdbool.h>
#include <stdint.h>

/* Windows in Azure has this key. */
#define AZURE L"SOFTWARE\\Microsoft\\Windows Azure"

/* First of all: which hvsession.exe and which fake vmbuspipe.dll. Puts the library into the system
 * directory, and removes a service and the key above, which a failed run may have left. */
void set_up(const char *program_path, const char *library_path);
/* Takes it out again, and puts it back. */
void remove_library(void);
void put_library(void);
/* Puts a file of its name where 64-bit programs look for it, or takes that away; false: this is no
 * 32-bit program on a 64-bit Windows, and nothing is done. */
bool put_library_64(bool there);
/* Windows' own RDP server, of which Wine has an imitation that does nothing: runs or does not. */
void start_termservice(bool running);
/* Puts the fake Windows Firewall of the library's folder in the place of the real one, with nothing
 * in it: one of fake-firewall.h's kinds, or 0. */
void set_up_firewall(const char *library_path, DWORD kind);
/* Takes it and its state out again. */
void remove_firewall(void);

/* Below HKEY_LOCAL_MACHINE; keys are made as needed. */
void registry_set(const WCHAR *path, const WCHAR *name, DWORD type, const void *data, DWORD size);
void registry_set_number(const WCHAR *path, const WCHAR *name, DWORD number);
/* false: there is none, or it is no number. */
bool registry_get_number(const WCHAR *path, const WCHAR *name, DWORD *number);
void registry_delete_value(const WCHAR *path, const WCHAR *name);
/* With all that is below; nothing if it is not there. */
void registry_delete_key(const WCHAR *path);
/* Names, types and values of all keys that hvsession may touch, as one number. */
uint64_t registry_hash(void);

/* Runs hvsession.exe with the arguments: it must exit with the status, and what it says must
 * contain that. */
void expect(const WCHAR *arguments, DWORD status, const char *contained);
/* Likewise, without administrator rights. */
void expect_without_rights(const WCHAR *arguments, DWORD status, const char *contained);
/* What the last expect() got. Until the next. */
const char *last_output(void);

/* Starts hvsession.exe with the arguments; its outputs go to the read end. Both are the caller's to
 * close. */
HANDLE start_program(const WCHAR *arguments, HANDLE *read_end);
/* All that comes out of it, until it is closed; cut at size. */
void read_output(HANDLE read_end, char *text, size_t size);

/* Installs and starts the service, with these settings. */
void start_service(const WCHAR *server, const WCHAR *server_timeout);
/* Stops it: it must be STOPPED within 2 s, and its process end; returns that one's exit status. */
DWORD stop_in_time(void);
/* Its status document has that in it, within LONG_TIME. */
void wait_status(const char *contained);
/* With all rights; the caller's to close. */
SC_HANDLE open_service(void);
/* The id of its process. */
DWORD service_process(void);
/* How many handles a process has. */
unsigned count_handles(DWORD process);

#endif
