<#
.SYNOPSIS
    Builds the program: a folder that runs on a machine without Python.
.DESCRIPTION
    The same as "uv run scripts/build.py" with the same arguments, from any folder. Paths are meant from the
    repository's folder. The exit code is its exit code.
.EXAMPLE
    scripts\build.ps1
    The folder, in dist.
.EXAMPLE
    scripts\build.ps1 --onefile
    One file, which unpacks itself at every start.
.LINK
    scripts/build.py
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$root = Split-Path -Parent $PSScriptRoot
Push-Location $root
try {
    uv run scripts/build.py @args
    $code = $LASTEXITCODE
}
finally {
    Pop-Location
}
exit $code
