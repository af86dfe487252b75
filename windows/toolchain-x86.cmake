# Cross build for 32-bit Windows, XP (NT 5.1) and later.
set(HVS_WINDOWS_TRIPLET i686-w64-mingw32)
set(CMAKE_SYSTEM_PROCESSOR X86)
set(HVS_WINDOWS_NT_MINOR 1)
include(${CMAKE_CURRENT_LIST_DIR}/toolchain.cmake)
