/* What fake-doctor.exe and its test agree upon. */
#ifndef HVS_TESTS_WINE_FAKE_DOCTOR_H
#define HVS_TESTS_WINE_FAKE_DOCTOR_H

/* While this event exists and is set, all is well. */
#define FAKE_MENDED L"Global\\hvs-fake-mended"

#endif
