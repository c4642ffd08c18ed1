<#
.SYNOPSIS
    Checks the project: format, lint, types, tests.
.DESCRIPTION
    The same as "uv run scripts/check.py" with the same arguments, from any folder. The exit code is its exit code.
.EXAMPLE
    scripts\check.ps1
    All steps; the first failure ends it.
.EXAMPLE
    scripts\check.ps1 lint types
    Only these.
.EXAMPLE
    scripts\check.ps1 --fix --no-tests
    Formats and fixes what can be fixed, then checks the types.
.LINK
    scripts/check.py
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$root = Split-Path -Parent $PSScriptRoot
Push-Location $root
try {
    uv run scripts/check.py @args
    $code = $LASTEXITCODE
}
finally {
    Pop-Location
}
exit $code
