/* What there is to show, apart from how: the state, the rows of each section, the sessions and the
 * findings, in the user's language. Fed with what the service publishes on D-Bus
 * (linux/io.github.hvsession1.xml); knows neither a bus nor widgets.
 *
 * What the service does not publish is unknown, and shown as that: it may be older than this.
 */
#ifndef HVS_GUI_MODEL_H
#define HVS_GUI_MODEL_H

#include "session.h"

#include <gio/gio.h>

/* The four states that people see. */
typedef enum {
    HVS_STATE_NOT_AVAILABLE,
    HVS_STATE_READY,
    HVS_STATE_WORKING,
    HVS_STATE_PROBLEM,
} HvsState;

/* Whether the service is there. */
typedef enum {
    HVS_SERVICE_SOUGHT, /* not known yet */
    HVS_SERVICE_ABSENT,
    HVS_SERVICE_PRESENT,
} HvsService;

/* What stands before a row, as a sign and in words. */
typedef enum {
    HVS_MARK_NONE,
    HVS_MARK_GOOD,
    HVS_MARK_IDLE, /* nothing wrong, nothing there */
    HVS_MARK_BAD,
} HvsMark;

/* A line of a section. */
typedef struct {
    HvsMark mark;
    char   *label; /* "Data channel 1" */
    char   *value; /* "Open since 10:42" */
    char   *detail; /* in a line of its own; NULL: nothing more */
} HvsRow;

void hvs_row_free(HvsRow *row);

typedef enum {
    HVS_SECTION_HOST,
    HVS_SECTION_SERVER,
    HVS_SECTION_CHANNELS,
} HvsSection;
#define HVS_SECTIONS (HVS_SECTION_CHANNELS + 1)

typedef enum {
    HVS_SEVERITY_ERROR,
    HVS_SEVERITY_WARNING,
    HVS_SEVERITY_ADVICE,
    HVS_SEVERITY_INFO,
} HvsSeverity;

/* One step of what mends a finding. */
typedef struct {
    gboolean on_host;
    char    *note;    /* "": the command says it */
    char    *command; /* "": nothing to type */
} HvsFix;

typedef struct {
    char       *code; /* "HVS-301" */
    char       *name; /* "server-missing" */
    HvsSeverity severity;
    char       *sentence, *why;
    GPtrArray  *fixes; /* of HvsFix */
    GVariant   *source;
} HvsFinding;

/* Something to tell somebody who is not looking. */
typedef struct {
    const char *id; /* a later one with the same id takes its place */
    const char *title, *body;
    gboolean    urgent;
} HvsNews;

#define HVS_TYPE_MODEL (hvs_model_get_type())
G_DECLARE_FINAL_TYPE(HvsModel, hvs_model, HVS, MODEL, GObject)

/* Signals:
 *   "changed" (): something that the functions below answer has changed
 *   "news" (const HvsNews *): tell it */
HvsModel *hvs_model_new(void);

/* ---- what the service says ---- */

/* SOUGHT and ABSENT forget all that was published. PRESENT comes after what there is at first was
 * set: that is no news. */
void hvs_model_set_service(HvsModel *model, HvsService service);
/* A property of the Manager; value is sunk, NULL: there is none of that name. */
void hvs_model_set_property(HvsModel *model, const char *name, GVariant *value);
/* Likewise, of the session at that object path, which becomes known by its first property. */
void hvs_model_set_session_property(HvsModel *model, const char *path, const char *name,
                                    GVariant *value);
void hvs_model_remove_session(HvsModel *model, const char *path);
/* Several changes at once are told once, and judged as a whole. */
void hvs_model_freeze(HvsModel *model);
void hvs_model_thaw(HvsModel *model);

/* ---- what to show ---- */

HvsService hvs_model_get_service(HvsModel *model);
HvsState   hvs_model_get_state(HvsModel *model);
/* The state in words: "Working: 2 sessions". To be freed. */
char *hvs_model_get_title(HvsModel *model);
/* What it means, as a sentence. To be freed. */
char *hvs_model_get_sentence(HvsModel *model);
/* The rows of a section, of HvsRow; now: milliseconds since 1970. */
GPtrArray *hvs_model_get_rows(HvsModel *model, HvsSection section, guint64 now);
/* Those that live, by their ids; and those that have ended, the last one first. Of HvsSession;
 * to be unreferenced. */
GPtrArray *hvs_model_get_sessions(HvsModel *model);
GPtrArray *hvs_model_get_ended(HvsModel *model);
/* The gravest first, of HvsFinding; belongs to the model. */
GPtrArray *hvs_model_get_findings(HvsModel *model);
/* The service says what it has found. */
gboolean hvs_model_knows_findings(HvsModel *model);
/* Errors and warnings. */
guint hvs_model_count_troubles(HvsModel *model);
/* The diagnosis as a sentence. To be freed. */
char *hvs_model_get_diagnosis(HvsModel *model);
/* Of the service, "" if it is not known. To be freed. */
char *hvs_model_get_version(HvsModel *model);

/* Name of a symbolic icon that differs from the others in its shape. */
const char *hvs_state_icon(HvsState state);
/* "Error", translated. */
const char *hvs_severity_words(HvsSeverity severity);

#endif
