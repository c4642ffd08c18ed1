<#
.SYNOPSIS
    Builds the packaged program, which runs where there is no Python.
.DESCRIPTION
    The same as "uv run scripts/build.py" with the same arguments, from any folder. Paths are meant from the
    repository's folder. The exit code is its exit code.

    --onefile         one file, which unpacks itself at every start, instead of a folder
    --with-native     with llama.cpp as compiled here (uv sync --extra native)
    --with-qnn        with onnxruntime, for Whisper on Qualcomm's NPU (uv sync --extra qnn)
    --with-postgres   with psycopg, for a database of PostgreSQL (uv sync --extra postgres)
    --no-models       without the demo models
    --dist FOLDER     where it goes (default: dist)
    --work FOLDER     where it is made (default: build)
.EXAMPLE
    scripts\build.ps1
    The folder dist\fluid-server.
.EXAMPLE
    scripts\build.ps1 --onefile
    The single file dist\onefile\fluid-server.exe.
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
