<#
.SYNOPSIS
    Tries a packaged program: chats, streams, cancelling, transcription, how it ends.
.DESCRIPTION
    The same as "uv run scripts/test_exe.py" with the same arguments, from any folder. Paths are meant from the
    repository's folder. The exit code is its exit code.

    PROGRAM         the program (default: what build.ps1 has made)
    --starts N      only how long it takes to start, N times
    --report FILE   what was measured, as JSON
    --isolated      where nothing else is (Linux, as root); --isolated-if-possible: so, where that can be had
.EXAMPLE
    scripts\test_exe.ps1
    The program that build.ps1 has made.
.EXAMPLE
    scripts\test_exe.ps1 dist\onefile\fluid-server.exe
    Another one.
.LINK
    scripts/test_exe.py
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$root = Split-Path -Parent $PSScriptRoot
Push-Location $root
try {
    uv run scripts/test_exe.py @args
    $code = $LASTEXITCODE
}
finally {
    Pop-Location
}
exit $code
