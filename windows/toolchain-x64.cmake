# Cross build for 64-bit Windows, XP Professional x64 Edition (NT 5.2) and later.
set(HVS_WINDOWS_TRIPLET x86_64-w64-mingw32)
set(CMAKE_SYSTEM_PROCESSOR AMD64)
set(HVS_WINDOWS_NT_MINOR 2)
include(${CMAKE_CURRENT_LIST_DIR}/toolchain.cmake)
