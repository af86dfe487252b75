/* Words for people: translations of what the service says, times and rates.
 *
 * The service speaks English. Its sentences come from tables, in which {…} stands for a fact:
 * "No RDP server listens on {server}." arrives as "No RDP server listens on tcp:127.0.0.1:3389.".
 * They are recognised by those tables (po/common-words.c), so that they can be translated.
 */
#ifndef HVS_GUI_WORDS_H
#define HVS_GUI_WORDS_H

#include <glib.h>

/* Of the whole text; the text itself if there is no translation of it. To be freed. */
char *hvs_words_translate(const char *english);
/* The same as a sentence that stands by itself: with a capital, "" for NULL. To be freed. */
char *hvs_words_sentence(const char *english);
/* What hvs_words_translate() does, with the translations of a test. translate() gives NULL, or its
 * argument, where there is none. */
char *hvs_words_translate_with(const char *english, const char *(*translate)(const char *msgid));
/* All that can be translated; ends with NULL. */
const char *const *hvs_words_templates(void);

/* Milliseconds since 1970: "10:42", and with the day where it is not that of now. To be freed. */
char *hvs_words_time(guint64 time, guint64 now);
/* Milliseconds: "12 s", "5 min 2 s", "3 h 5 min", "2 d 4 h". To be freed. */
char *hvs_words_duration(guint64 milliseconds);
/* Bytes a second: "1.2 MiB/s". To be freed. */
char *hvs_words_rate(guint64 bytes_per_second);

#endif
