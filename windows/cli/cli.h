/* The command line: `hvsession help` is its manual. */
#ifndef HVS_WINDOWS_CLI_H
#define HVS_WINDOWS_CLI_H

enum hvs_exit {
    HVS_EXIT_OK = 0,
    HVS_EXIT_FAILED = 1,
    HVS_EXIT_USAGE = 2,       /* unknown command, option or setting, or a bad value */
    HVS_EXIT_NOT_RUNNING = 3, /* the service is not installed or does not run */
    HVS_EXIT_RESTART = 3010,  /* done, and Windows has to be restarted for it: what the system calls
                                 ERROR_SUCCESS_REBOOT_REQUIRED */
};

/* Does what the arguments (UTF-8, the program's name first) say. Returns an enum hvs_exit. */
int hvs_cli(int count, char **arguments);

#endif
