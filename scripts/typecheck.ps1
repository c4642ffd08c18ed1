<#
.SYNOPSIS
    Checks the types, with ty and with mypy.
.DESCRIPTION
    The same as "uv run scripts/check.py types" with the same further arguments, from any folder. The exit code is its
    exit code.

    --keep-going   run mypy also where ty has found something
.EXAMPLE
    scripts\typecheck.ps1
    Both checkers; the first that finds something ends it.
.LINK
    scripts/check.py
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$root = Split-Path -Parent $PSScriptRoot
Push-Location $root
try {
    uv run scripts/check.py types @args
    $code = $LASTEXITCODE
}
finally {
    Pop-Location
}
exit $code
