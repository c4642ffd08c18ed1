<#
.SYNOPSIS
    Starts Fluid Server as a child process, asks it something, and ends it.
.DESCRIPTION
    Shows what an application does: a free port, a key of its own, the ready line, an answer, the end. Windows
    PowerShell 5.1 or PowerShell 7.
.PARAMETER Model
    The model to ask.
.PARAMETER Program
    The server: fluid-server, or the program of the shipped folder.
.PARAMETER Arguments
    What the server is given besides, as one text, such as '--model-path models'.
.PARAMETER Data
    The folder for all that the server writes.
.PARAMETER Wait
    Wait for Enter before the server is ended.
.EXAMPLE
    ./embed.ps1 -Model fluid-tiny-ov -Program fluid-server -Arguments '--model-path models'
#>
[CmdletBinding()]
param(
    [string] $Model = 'fluid-tiny-ov',
    [string] $Program = 'fluid-server',
    [string] $Arguments = '',
    [string] $Data = (Join-Path (Get-Location) 'fluid-data'),
    [switch] $Wait
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$bytes = New-Object byte[] 24
[System.Security.Cryptography.RandomNumberGenerator]::Create().GetBytes($bytes)
$key = [System.BitConverter]::ToString($bytes).Replace('-', '')
$log = Join-Path (Join-Path $Data 'logs') 'server.log'

$start = New-Object System.Diagnostics.ProcessStartInfo
$start.FileName = (Get-Command -Name $Program -CommandType Application | Select-Object -First 1).Source
$start.Arguments = "$Arguments --port 0 --data-dir `"$Data`" --log-file `"$log`" " +
    "--ready-json --parent-pid $PID --exit-with-stdin"
$start.UseShellExecute = $false
$start.CreateNoWindow = $true
$start.RedirectStandardInput = $true
$start.RedirectStandardOutput = $true
# Standard error is not redirected: a pipe that nobody reads would fill and stop the server. The log file has it all.
$start.EnvironmentVariables['FLUID_API_KEY'] = $key

$server = [System.Diagnostics.Process]::Start($start)
try {
    $line = $server.StandardOutput.ReadLine() # comes when the server listens
    if (-not $line) {
        $server.WaitForExit()
        throw "The server did not start: exit code $($server.ExitCode). See its log."
    }
    $told = $line | ConvertFrom-Json
    Write-Output "It runs: process $($server.Id)"

    $body = @{
        model    = $Model
        messages = @(@{ role = 'user'; content = 'What is the capital of France?' })
    } | ConvertTo-Json -Depth 5
    $answer = Invoke-RestMethod -Method Post -Uri "$($told.base_url)/chat/completions" -Body $body `
        -ContentType 'application/json; charset=utf-8' -Headers @{ Authorization = "Bearer $key" }
    Write-Output $answer.choices[0].message.content
    if ($Wait) {
        [void] (Read-Host 'Press Enter to end it')
    }
}
finally {
    $server.StandardInput.Close()
    if (-not $server.WaitForExit(5000)) {
        $server.Kill()
    }
}
Write-Output "It has ended with $($server.ExitCode)"
exit $server.ExitCode
