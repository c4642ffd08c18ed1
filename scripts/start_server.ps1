<#
.SYNOPSIS
    Starts the server in the background, and waits until it is ready.
.DESCRIPTION
    The same as "uv run scripts/start_server.py" with the same arguments, from any folder. Paths are meant from the
    repository's folder. The exit code is its exit code.

    --wait SECONDS   until it is ready (default: 120)
    --log FILE       what the server writes (default: build/server.log)
    All other flags are those of "fluid-server serve", such as --port 9000 or --device GPU.
.EXAMPLE
    scripts\start_server.ps1
    On http://127.0.0.1:8080, with the models of this repository.
.EXAMPLE
    scripts\start_server.ps1 --port 0 --device GPU
    On a free port, with models on the GPU.
.LINK
    scripts/start_server.py
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$root = Split-Path -Parent $PSScriptRoot
Push-Location $root
try {
    uv run scripts/start_server.py @args
    $code = $LASTEXITCODE
}
finally {
    Pop-Location
}
exit $code
