<#
.SYNOPSIS
    Talks to every model with the official OpenAI client, and says in a table what each did.
.DESCRIPTION
    The same as "uv run scripts/test_with_models.py" with the same arguments, from any folder. Paths are meant from the
    repository's folder. The exit code is its exit code.

    --model NAME     only this model; may be given several times
    --base-url URL   a server that runs already, such as http://127.0.0.1:8080/v1
    --wait SECONDS   that one answer may take (default: 300)
    All other flags are those of "fluid-server serve", such as --model-path FOLDER.
.EXAMPLE
    scripts\test_with_models.ps1
    Starts a server on the models of this repository, and ends it.
.EXAMPLE
    scripts\test_with_models.ps1 --model-path D:\models --device NPU
    Other models, on the NPU.
.LINK
    scripts/test_with_models.py
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$root = Split-Path -Parent $PSScriptRoot
Push-Location $root
try {
    uv run scripts/test_with_models.py @args
    $code = $LASTEXITCODE
}
finally {
    Pop-Location
}
exit $code
