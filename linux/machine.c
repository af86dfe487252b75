#include "machine.h"

void
hvs_machine_init(struct hvs_machine *machine, const char *root)
{
    static const char *const names[] = { "sys", "dev", "run", "etc", "proc" };

    *machine = (struct hvs_machine){ .roots = HVS_ROOTS_SYSTEM };
    if (root == NULL) {
        hvs_probe_read_cpu(&machine->cpu);
        return;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        machine->paths[i] = g_build_filename(root, names[i], NULL);
    machine->paths[5] = g_strdup(root);
    machine->roots = (struct hvs_roots){ .sys = machine->paths[0],
                                         .dev = machine->paths[1],
                                         .run = machine->paths[2],
                                         .etc = machine->paths[3],
                                         .proc = machine->paths[4],
                                         .root = machine->paths[5] };
}

void
hvs_machine_copy(struct hvs_machine *copy, const struct hvs_machine *machine)
{
    hvs_machine_init(copy, machine->paths[5]);
    copy->cpu = machine->cpu;
}

void
hvs_machine_clear(struct hvs_machine *machine)
{
    for (gsize i = 0; i < G_N_ELEMENTS(machine->paths); i++)
        g_clear_pointer(&machine->paths[i], g_free);
}
