/* Prints, as C, the sentences that the service may say: those of common/'s tables. A tool of the
 * build; the window knows the D-Bus interface only, and recognises the sentences that come from it
 * by this table (words.h). xgettext reads what it prints, too. */
#include "common/diagnosis.h"
#include "common/status.h"

#include <stdio.h>
#include <string.h>

/* Codes of findings that the service on Linux never has begin like this. */
#define OF_WINDOWS "HVS-5"

static void
print_words(const char *words)
{
    if (words == NULL)
        return;
    fputs("    N_(\"", stdout);
    for (const char *c = words; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            putchar('\\');
        if (*c == '\n')
            fputs("\\n", stdout);
        else
            putchar(*c);
    }
    puts("\"),");
}

static void
print_findings(void)
{
    size_t count;
    const struct hvs_finding *table = hvs_findings_table(&count);

    for (size_t i = 0; i < count; i++) {
        if (strncmp(table[i].code, OF_WINDOWS, strlen(OF_WINDOWS)) == 0)
            continue;
        print_words(table[i].sentence);
        print_words(table[i].why);
        for (unsigned n = 0; table[i].fix[n].note != NULL || table[i].fix[n].command != NULL; n++)
            print_words(table[i].fix[n].note);
    }
}

/* Of the diagnosis as a whole. */
static void
print_summaries(void)
{
    static const struct hvs_finding error = { .severity = HVS_SEVERITY_ERROR };
    static const struct hvs_finding warning = { .severity = HVS_SEVERITY_WARNING };
    struct hvs_facts facts = { .os = HVS_OS_LINUX };
    struct hvs_diagnosis diagnosis = { .findings = { &error }, .count = 1 };

    for (int verdict = HVS_VERDICT_FINE; verdict <= HVS_VERDICT_SERVICE_DOWN; verdict++) {
        diagnosis.verdict = (enum hvs_verdict)verdict;
        print_words(hvs_diagnosis_summary(&facts, &diagnosis));
    }
    diagnosis.verdict = HVS_VERDICT_DEGRADED;
    diagnosis.findings[0] = &warning;
    print_words(hvs_diagnosis_summary(&facts, &diagnosis));
    diagnosis.verdict = HVS_VERDICT_FINE;
    facts.service_running = facts.server_listening = facts.control_offered = HVS_YES;
    print_words(hvs_diagnosis_summary(&facts, &diagnosis));
}

static void
print_states(void)
{
    struct hvs_status status = { .control.state = HVS_CONTROL_READY };

    for (int overall = HVS_OVERALL_NOT_OFFERED; overall <= HVS_OVERALL_ACTIVE; overall++)
        print_words(hvs_overall_to_sentence((enum hvs_overall)overall));
    for (int problem = HVS_CONTROL_NO_ANSWER; problem <= HVS_CONTROL_OPEN_FAILED; problem++)
        print_words(hvs_control_problem_to_string((enum hvs_control_problem)problem));
    for (unsigned channel = 0; channel < 2; channel++) {
        status.channels[channel] = HVS_CHANNEL_FAILED;
        print_words(hvs_status_problem(&status));
        status.channels[channel] = HVS_CHANNEL_OPEN;
    }
    for (int reason = HVS_END_HOST_CLOSED; reason < HVS_END_REASONS; reason++)
        print_words(hvs_end_reason_to_sentence((enum hvs_end_reason)reason));
}

int
main(void)
{
    puts("/* Made by the build: po/common-words.c. */\n"
         "#include <stddef.h>\n"
         "#ifndef N_\n"
         "#define N_(words) (words)\n"
         "#endif\n\n"
         "static const char *const templates[] = {");
    print_findings();
    print_summaries();
    print_states();
    puts("    NULL\n};");
    return 0;
}
