// Start Fluid Server as a child process, ask it something, and end it. .NET 8 or later, no packages.
//
// dotnet run [MODEL [COMMAND ...]]     such as: dotnet run fluid-tiny-ov fluid-server --model-path models

using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;

var model = args.Length > 0 ? args[0] : "fluid-tiny-ov";
var command = args.Length > 1 ? args[1..] : ["fluid-server"];
await using var server = await LocalServer.StartAsync(command, Path.GetFullPath("fluid-data"));
Console.WriteLine($"It runs: process {server.Id}");
Console.WriteLine(await server.ChatAsync(model, "What is the capital of France?"));
Console.ReadLine(); // press Enter
Console.WriteLine($"It has ended with {await server.StopAsync()}");

/// <summary>A server that belongs to this program.</summary>
public sealed class LocalServer : IAsyncDisposable
{
    private readonly Process process;
    private readonly HttpClient http;

    private LocalServer(Process process, Uri baseUrl, string key)
    {
        this.process = process;
        // The first answer waits until the model is loaded.
        http = new HttpClient { BaseAddress = baseUrl, Timeout = TimeSpan.FromMinutes(10) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    public int Id => process.Id;

    public static async Task<LocalServer> StartAsync(string[] command, string data)
    {
        var key = Convert.ToHexString(RandomNumberGenerator.GetBytes(24)); // whoever else runs here does not know it
        var start = new ProcessStartInfo(command[0])
        {
            UseShellExecute = false,
            CreateNoWindow = true,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        string[] flags =
        [
            "--port", "0", "--data-dir", data, "--log-file", Path.Combine(data, "logs", "server.log"),
            "--ready-json", "--parent-pid", Environment.ProcessId.ToString(), "--exit-with-stdin",
        ];
        foreach (var argument in command[1..].Concat(flags))
        {
            start.ArgumentList.Add(argument);
        }
        start.Environment["FLUID_API_KEY"] = key;

        var process = Process.Start(start)!;
        process.ErrorDataReceived += (_, _) => { }; // the log file has it, but a pipe must be read, or it fills
        process.BeginErrorReadLine();
        var line = await process.StandardOutput.ReadLineAsync(); // comes when the server listens
        if (line is null)
        {
            await process.WaitForExitAsync();
            throw new InvalidOperationException($"The server did not start: {Meaning(process.ExitCode)}. See its log.");
        }
        using var told = JsonDocument.Parse(line);
        return new LocalServer(process, new Uri(told.RootElement.GetProperty("base_url").GetString() + "/"), key);
    }

    public async Task<string?> ChatAsync(string model, string text)
    {
        var body = new { model, messages = new[] { new { role = "user", content = text } } };
        using var response = await http.PostAsJsonAsync("chat/completions", body);
        var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
        if (!response.IsSuccessStatusCode)
        {
            throw new HttpRequestException(answer.GetProperty("error").GetProperty("message").GetString());
        }
        return answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString();
    }

    /// <summary>Ask it to end, and wait: at most three seconds. Gives its exit code.</summary>
    public async Task<int> StopAsync()
    {
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            await StopAsync();
        }
        http.Dispose();
        process.Dispose();
    }

    private static string Meaning(int code) => code switch
    {
        10 => "the port is taken",
        11 => "its folder cannot be written",
        12 => "the disk is full",
        _ => $"exit code {code}",
    };
}
