; The log, and running hvsession.exe.
;
;   ${Log} "text"          a line to the log, if there is one
;   ${Say} "text"          the same, and to the list on the progress page
;   ${RunTool} "setup"     runs $ToolPath with these arguments and waits; its output goes where
;                          ${Say} goes; $ToolStatus is its exit status, or "error N" if it could
;                          not be started
; All three in the installer and in the uninstaller; registers are kept.

Var LogHandle ; "" without a log
Var ToolPath
Var ToolStatus

; Of the Windows headers.
!define HANDLE_FLAG_INHERIT 1
!define CREATE_NO_WINDOW 0x08000000
!define STARTF_USESTDHANDLES 0x100
!define CP_UTF8 65001
!define LINE_FEED 10
; Bytes of a tool's output that are looked at, and characters of one of its lines.
!define OUTPUT_MAX 16384
!define LINE_MAX 1000

!macro CallBoth FUNCTION
!ifdef __UNINSTALL__
    Call un.${FUNCTION}
!else
    Call ${FUNCTION}
!endif
!macroend

!macro Log TEXT
    Push `${TEXT}`
    !insertmacro CallBoth WriteLog
!macroend
!define Log "!insertmacro Log"

!macro Say TEXT
    DetailPrint `${TEXT}`
    ${Log} `${TEXT}`
!macroend
!define Say "!insertmacro Say"

!macro RunTool ARGUMENTS
    Push `${ARGUMENTS}`
    !insertmacro CallBoth RunTool
!macroend
!define RunTool "!insertmacro RunTool"

!macro DEFINE_TOOL UN
; UTF-16 with a byte order mark: Notepad and "type" show it right everywhere. Returns "1" or "0".
Function ${UN}OpenLog ; path → opened
    Exch $0
    ClearErrors
    FileOpen $LogHandle $0 w
    ${If} ${Errors}
        StrCpy $LogHandle ""
        StrCpy $0 0
    ${Else}
        FileWriteUTF16LE /BOM $LogHandle ""
        StrCpy $0 1
    ${EndIf}
    Exch $0
FunctionEnd

Function ${UN}WriteLog ; text
    System::Store S
    Pop $0
    ${If} $LogHandle != ""
        ${GetTime} "" "L" $1 $2 $3 $4 $5 $6 $7 ; day, month, year, its name, hour, minute, second
        FileWriteUTF16LE $LogHandle "$3-$2-$1 $5:$6:$7  $0$\r$\n"
    ${EndIf}
    System::Store L
FunctionEnd

; Reads the pipe $0 to its end: the lines, UTF-8, go to the log and the list.
Function ${UN}SayOutput
    System::Store S
    System::Alloc ${OUTPUT_MAX}
    Pop $1
    StrCpy $2 0 ; bytes there are
    ${Do}
        ; What does not fit any more overwrites the last byte.
        IntOp $3 ${OUTPUT_MAX} - $2
        ${If} $3 = 0
            IntOp $2 $2 - 1
            StrCpy $3 1
        ${EndIf}
        IntOp $4 $1 + $2
        StrCpy $5 0
        System::Call 'kernel32::ReadFile(p r0, p r4, i r3, *i .r5, p 0)'
        IntOp $2 $2 + $5
    ${LoopUntil} $5 = 0

    ; Memory from Alloc is zeroed, and a character of UTF-16 comes from one byte at least.
    IntOp $3 $2 * 2
    IntOp $3 $3 + 2
    System::Alloc $3
    Pop $4
    System::Call 'kernel32::MultiByteToWideChar(i ${CP_UTF8}, i 0, p r1, i r2, p r4, i r2)'
    StrCpy $5 $4
    ${Do}
        System::Call 'shlwapi::StrChrW(p r5, i ${LINE_FEED}) p .r6'
        ${If} $6 = 0
            StrCpy $7 ${LINE_MAX}
        ${Else}
            ; Two bytes a character, and one for the NUL instead of the line feed.
            IntOp $7 $6 - $5
            IntOp $7 $7 / 2
            IntOp $7 $7 + 1
            ${If} $7 > ${LINE_MAX}
                StrCpy $7 ${LINE_MAX}
            ${EndIf}
        ${EndIf}
        System::Call 'kernel32::lstrcpynW(w .r8, p r5, i r7)'
        StrCpy $9 $8 1 -1
        ${If} $9 == "$\r"
            StrCpy $8 $8 -1
        ${EndIf}
        ${If} $8 != ""
            ${Say} "    $8"
        ${EndIf}
        IntOp $5 $6 + 2
    ${LoopUntil} $6 = 0
    System::Free $4
    System::Free $1
    System::Store L
FunctionEnd

; Not nsExec: that takes the output for text in the system's own code page.
Function ${UN}RunTool ; arguments
    System::Store S
    Pop $9
    ${Log} "> ${NAME} $9"
    ; A pipe whose write end the program inherits
    System::Call '*(i 12, p 0, i 1) p .r1' ; SECURITY_ATTRIBUTES
    System::Call 'kernel32::CreatePipe(*p .r0, *p .r2, p r1, i 0)'
    System::Call 'kernel32::SetHandleInformation(p r0, i ${HANDLE_FLAG_INHERIT}, i 0)'
    ; STARTUPINFO with standard handles, PROCESS_INFORMATION
    System::Call '*(i 68, p 0, p 0, p 0, i 0, i 0, i 0, i 0, i 0, i 0, i 0, \
        i ${STARTF_USESTDHANDLES}, &i2 0, &i2 0, p 0, p 0, p r2, p r2) p .r4'
    System::Call '*(p 0, p 0, i 0, i 0) p .r5'
    StrCpy $3 '"$ToolPath" $9'
    System::Call 'kernel32::CreateProcessW(p 0, w r3, p 0, p 0, i 1, i ${CREATE_NO_WINDOW}, p 0, \
        p 0, p r4, p r5) i .r6 ? e'
    Pop $7
    System::Call 'kernel32::CloseHandle(p r2)'
    ${If} $6 = 0
        StrCpy $8 "error $7"
    ${Else}
        Call ${UN}SayOutput
        System::Call '*$5(p .r6, p .r7)'
        System::Call 'kernel32::WaitForSingleObject(p r6, i -1)'
        System::Call 'kernel32::GetExitCodeProcess(p r6, *i .r8)'
        System::Call 'kernel32::CloseHandle(p r6)'
        System::Call 'kernel32::CloseHandle(p r7)'
    ${EndIf}
    System::Call 'kernel32::CloseHandle(p r0)'
    System::Free $1
    System::Free $4
    System::Free $5
    StrCpy $ToolStatus $8
    ${If} $8 != 0
    ${AndIf} $8 != ${EXIT_REBOOT}
        ${Say} "$(ToolStatusText)"
    ${EndIf}
    System::Store L
FunctionEnd
!macroend
!insertmacro DEFINE_TOOL ""
!insertmacro DEFINE_TOOL "un."
