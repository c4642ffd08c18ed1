<#
.SYNOPSIS
    Ends servers: in good order, and by force where that takes too long.
.DESCRIPTION
    The same as "uv run scripts/kill_server.py" with the same arguments, from any folder. Paths are meant from the
    repository's folder. The exit code is its exit code.

    --model-path FOLDER   the server of this models or data folder (default: those of this repository)
    --pid PID             the server with this process id
    --all                 every server of this user
    --wait SECONDS        until force is used (default: 15)
.EXAMPLE
    scripts\kill_server.ps1
    The server that start_server.ps1 has started.
.EXAMPLE
    scripts\kill_server.ps1 --all --wait 0
    All of them, by force.
.LINK
    scripts/kill_server.py
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$root = Split-Path -Parent $PSScriptRoot
Push-Location $root
try {
    uv run scripts/kill_server.py @args
    $code = $LASTEXITCODE
}
finally {
    Pop-Location
}
exit $code
