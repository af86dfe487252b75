#include "checkup.h"

/* What a look may take that the end of the service waits for, in microseconds. */
#define PATIENCE (500 * G_TIME_SPAN_MILLISECOND)

/* One look; the thread has all of it until it is done. */
struct look {
    hvs_checkup *checkup;
    struct hvs_machine machine;
    struct hvs_settings settings;
    struct hvs_facts facts;
    GThread *thread;
    GMutex lock; /* the rest */
    GCond ended;
    gboolean done, abandoned;
    guint source; /* tells the main loop */
};

struct waiter {
    hvs_checkup_answer answer;
    gpointer user_data;
};

struct hvs_checkup {
    const struct hvs_machine *machine;
    void (*looked)(const struct hvs_facts *facts, gpointer user_data);
    gpointer user_data;
    struct hvs_settings settings; /* of the newest request */
    struct look *look;            /* NULL: none is under way */
    GArray *present, *next;       /* of struct waiter: for this look, and for the one behind it */
    gboolean wanted;              /* another look */
    gint64 began;                 /* the last look: monotonic, microseconds; 0: there was none */
    guint timer;
};

static void begin_look(hvs_checkup *checkup);

static void
free_look(struct look *look)
{
    g_thread_join(look->thread);
    hvs_machine_clear(&look->machine);
    g_mutex_clear(&look->lock);
    g_cond_clear(&look->ended);
    g_free(look);
}

static gboolean
on_time(gpointer user_data)
{
    hvs_checkup *checkup = user_data;

    checkup->timer = 0;
    begin_look(checkup);
    return G_SOURCE_REMOVE;
}

/* The next look, unless it has a time already. */
static void
schedule(hvs_checkup *checkup)
{
    gint64 elapsed = (g_get_monotonic_time() - checkup->began) / 1000;

    if (!checkup->wanted || checkup->look != NULL || checkup->timer != 0)
        return;
    if (checkup->began == 0 || elapsed >= HVS_CHECKUP_INTERVAL)
        begin_look(checkup);
    else
        checkup->timer = g_timeout_add(HVS_CHECKUP_INTERVAL - (guint)elapsed, on_time, checkup);
}

static void
answer_all(GArray *waiters, gboolean done)
{
    /* Whoever is answered may ask again. */
    g_autoptr(GArray) answered = g_array_copy(waiters);

    g_array_set_size(waiters, 0);
    for (guint i = 0; i < answered->len; i++) {
        const struct waiter *waiter = &g_array_index(answered, struct waiter, i);

        waiter->answer(done, waiter->user_data);
    }
}

static gboolean
on_looked(gpointer user_data)
{
    hvs_checkup *checkup = user_data;
    struct look *look = g_steal_pointer(&checkup->look);

    checkup->looked(&look->facts, checkup->user_data);
    free_look(look);
    answer_all(checkup->present, TRUE);
    schedule(checkup);
    return G_SOURCE_REMOVE;
}

static gpointer
run_look(gpointer data)
{
    struct look *look = data;

    hvs_probe(&(struct hvs_probe_options){ .roots = &look->machine.roots,
                                           .settings = &look->settings,
                                           .cpu = &look->machine.cpu },
              &look->facts);
    g_mutex_lock(&look->lock);
    look->done = TRUE;
    if (!look->abandoned)
        look->source = g_idle_add(on_looked, look->checkup);
    g_cond_signal(&look->ended);
    g_mutex_unlock(&look->lock);
    return NULL;
}

static void
begin_look(hvs_checkup *checkup)
{
    struct look *look = g_new0(struct look, 1);
    GArray *waiters = checkup->present;

    checkup->present = checkup->next;
    checkup->next = waiters;
    checkup->wanted = FALSE;
    checkup->began = g_get_monotonic_time();
    checkup->look = look;
    look->checkup = checkup;
    hvs_machine_copy(&look->machine, checkup->machine);
    look->settings = checkup->settings;
    g_mutex_init(&look->lock);
    g_cond_init(&look->ended);
    look->thread = g_thread_new("hvs-probe", run_look, look);
}

hvs_checkup *
hvs_checkup_new(const struct hvs_machine *machine,
                void (*looked)(const struct hvs_facts *facts, gpointer user_data),
                gpointer user_data)
{
    hvs_checkup *checkup = g_new0(hvs_checkup, 1);

    checkup->machine = machine;
    checkup->looked = looked;
    checkup->user_data = user_data;
    checkup->present = g_array_new(FALSE, FALSE, sizeof(struct waiter));
    checkup->next = g_array_new(FALSE, FALSE, sizeof(struct waiter));
    return checkup;
}

/* Not joined if it is stuck: it keeps its struct, and touches nothing else. */
static void
end_look(struct look *look)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    gboolean done;

    g_mutex_lock(&look->lock);
    while (!look->done && g_cond_wait_until(&look->ended, &look->lock, deadline))
        ;
    done = look->done;
    look->abandoned = !done;
    g_mutex_unlock(&look->lock);
    if (!done) {
        g_thread_unref(look->thread);
        return;
    }
    g_source_remove(look->source);
    free_look(look);
}

void
hvs_checkup_free(hvs_checkup *checkup)
{
    hvs_checkup_dismiss(checkup);
    g_clear_handle_id(&checkup->timer, g_source_remove);
    g_clear_pointer(&checkup->look, end_look);
    g_array_unref(checkup->present);
    g_array_unref(checkup->next);
    g_free(checkup);
}

gboolean
hvs_checkup_request(hvs_checkup *checkup, const struct hvs_settings *settings,
                    hvs_checkup_answer answer, gpointer user_data)
{
    struct waiter waiter = { answer, user_data };

    if (answer != NULL && checkup->present->len + checkup->next->len >= HVS_CHECKUP_PENDING_MAX)
        return FALSE;
    if (answer != NULL)
        g_array_append_val(checkup->next, waiter);
    checkup->settings = *settings;
    checkup->wanted = TRUE;
    schedule(checkup);
    return TRUE;
}

void
hvs_checkup_dismiss(hvs_checkup *checkup)
{
    answer_all(checkup->present, FALSE);
    answer_all(checkup->next, FALSE);
}
