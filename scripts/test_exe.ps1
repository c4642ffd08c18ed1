<#
.SYNOPSIS
    Tries a built program: chat, streams, cancelling, transcription, shutdown, exit codes.
.DESCRIPTION
    The same as "uv run scripts/test_exe.py" with the same arguments, from any folder. Paths are meant from the
    repository's folder. The exit code is its exit code.
.EXAMPLE
    scripts\test_exe.ps1
    The program that build.ps1 has built.
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
