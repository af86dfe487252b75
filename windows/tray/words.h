/* The words of the app, in the language of the user: English or Chinese (simplified).
 *
 * What common/ has words for is taken from the service's documents; for Chinese it is looked up in
 * chinese.h, and what is not there stays English. The window's thread only.
 */
#ifndef HVS_WINDOWS_TRAY_WORDS_H
#define HVS_WINDOWS_TRAY_WORDS_H

#include "model.h"
#include "resource.h"

#include <windows.h>

/* Characters that hold any sentence of this module, with the zero. */
#define HVS_WORDS_MAX 1100

/* First of all. The language is the user's, unless the preference "Language" says otherwise: "en"
 * or "zh-CN". */
void hvs_words_init(HINSTANCE instance);

/* A string of the resources, IDS_…; "" if the language has none. Stays. */
const WCHAR *hvs_word(unsigned id);
/* The string with first and second for its %1 and %2; what does not fit is cut. */
void hvs_words_format(WCHAR *out, size_t size, unsigned id, const WCHAR *first,
                      const WCHAR *second);
/* Any UTF-8 of a document, without control characters; cut if it does not fit. */
void hvs_words_from_utf8(WCHAR *out, size_t size, const char *utf8);

/* A sentence of a document, in the user's language. */
void hvs_words_add(struct hvs_text *out, const char *english);

/* All that follow write at most HVS_WORDS_MAX characters. */

/* "Working: 2 sessions" */
void hvs_words_state(const struct hvs_model *model, WCHAR *out);
/* What it means, as a sentence with its full stop. */
void hvs_words_sentence(const struct hvs_model *model, WCHAR *out);
/* What is wrong, likewise; "" if nothing is. */
void hvs_words_problem(const struct hvs_model *model, WCHAR *out);
/* The client's name, or "Session 3". */
void hvs_words_client(const struct hvs_model_session *session, WCHAR *out);
/* Why the session ended, with the detail. */
void hvs_words_reason(const struct hvs_model_session *session, WCHAR *out);
/* "2 min 5 s", as common/text. */
void hvs_words_duration(uint64_t milliseconds, WCHAR *out);
/* "1.5 MiB/s" */
void hvs_words_rate(uint64_t bytes_a_second, WCHAR *out);
/* The time of day that was that many milliseconds ago: "14:02". */
void hvs_words_time_of_day(uint64_t milliseconds_ago, WCHAR *out);

#endif
