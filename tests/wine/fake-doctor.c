/* Stands for hvsession.exe where the service does not run: `hvsession doctor --json` on a guest
 * whose host offers nothing and whose Remote Desktop wants NLA, until the event FAKE_MENDED is set.
 * What it prints is what hvsession would: only the facts are made up. */
#include "fake-doctor.h"

#include "common/diagnosis.h"

#include <windows.h>

#include <stdio.h>
#include <string.h>

static bool
is_mended(void)
{
    HANDLE event = OpenEventW(SYNCHRONIZE, FALSE, FAKE_MENDED);
    bool set = event != NULL && WaitForSingleObject(event, 0) == WAIT_OBJECT_0;

    if (event != NULL)
        CloseHandle(event);
    return set;
}

int
main(int count, char **arguments)
{
    static struct hvs_facts facts = {
        .os = HVS_OS_WINDOWS,
        .hypervisor = HVS_HYPERVISOR_HYPER_V,
        .vm_name = "Old Ledger",
        .host_name = "HOST-1",
        .vmbus = HVS_YES,
        .vmbuspipe = HVS_YES,
        .service_running = HVS_YES,
        .windows_version = 601,
        .server = "tcp:127.0.0.1:3389",
        .server_listening = HVS_YES,
        .remote_desktop = HVS_YES,
        .termservice_running = HVS_YES,
    };
    static char json[HVS_DIAGNOSIS_JSON_MAX];
    struct hvs_diagnosis diagnosis;
    struct hvs_text text;

    if (count != 3 || strcmp(arguments[1], "doctor") != 0 || strcmp(arguments[2], "--json") != 0)
        return 2;
    facts.control_offered = is_mended() ? HVS_YES : HVS_NO;
    facts.nla_required = is_mended() ? HVS_NO : HVS_YES;
    facts.blank_password = HVS_YES;
    hvs_diagnose(&facts, &diagnosis);
    hvs_text_init(&text, json, sizeof json);
    hvs_diagnosis_print_json(&facts, &diagnosis, HVS_VERSION, &text);
    fwrite(json, 1, text.length, stdout);
    return (int)diagnosis.verdict;
}
