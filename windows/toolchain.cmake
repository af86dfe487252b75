# What both Windows toolchains share. The win32 thread model: the posix one pulls in libwinpthread
# and calls that Windows XP does not have.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_C_COMPILER ${HVS_WINDOWS_TRIPLET}-gcc-win32)
set(CMAKE_RC_COMPILER ${HVS_WINDOWS_TRIPLET}-windres)
set(HVS_WINDMC ${HVS_WINDOWS_TRIPLET}-windmc)
set(CMAKE_FIND_ROOT_PATH /usr/${HVS_WINDOWS_TRIPLET})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
# Small: what is not used goes, and the linker sees all of it at once. No tables for unwinding: they
# would keep functions that nobody calls, and nothing unwinds; a crash ends the process either way.
string(JOIN " " release_flags -Oz -fno-inline-functions-called-once -DNDEBUG -flto=1
    -flto-partition=one -fno-ident -ffunction-sections -fdata-sections
    -fno-asynchronous-unwind-tables)
set(CMAKE_C_FLAGS_RELEASE "${release_flags}" CACHE STRING "Flags of release builds")
set(CMAKE_AR ${HVS_WINDOWS_TRIPLET}-gcc-ar-win32 CACHE FILEPATH "An ar for link-time optimisation")
set(CMAKE_RANLIB ${HVS_WINDOWS_TRIPLET}-gcc-ranlib-win32 CACHE FILEPATH "Likewise")

# Nothing that is not in the system's own DLLs since XP; no time stamp, so that the same source
# gives the same file.
string(JOIN " " CMAKE_EXE_LINKER_FLAGS_INIT
    -static -Wl,--gc-sections,--no-insert-timestamp,--nxcompat,--dynamicbase
    -Wl,--major-os-version=5,--minor-os-version=${HVS_WINDOWS_NT_MINOR}
    -Wl,--major-subsystem-version=5,--minor-subsystem-version=${HVS_WINDOWS_NT_MINOR})
if(HVS_WINDOWS_NT_MINOR EQUAL 2)
    string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -Wl,--high-entropy-va")
endif()
set(CMAKE_SHARED_LINKER_FLAGS_INIT ${CMAKE_EXE_LINKER_FLAGS_INIT})
set(CMAKE_EXE_LINKER_FLAGS_RELEASE_INIT "-s")
set(CMAKE_SHARED_LINKER_FLAGS_RELEASE_INIT "-s")
