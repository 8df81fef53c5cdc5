using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using Newtonsoft.Json.Linq;

namespace Constrained
{
    /// <summary>The server beside the game, on a free port; it ends with the game, which it looks for. Desktop only.</summary>
    public sealed class Sidecar : IDisposable
    {
        public readonly Server Server;
        public readonly Process Process;

        Sidecar(Server server, Process process)
        {
            Server = server;
            Process = process;
        }

        /// <param name="command">The packed executable, or constrained.</param>
        /// <param name="arguments">Such as: serve tavern --model small</param>
        /// <param name="data">A folder for what it keeps: Application.persistentDataPath + "/constrained"</param>
        public static async Task<Sidecar> Start(string command, string[] arguments, string data, double seconds = 60)
        {
            Directory.CreateDirectory(data);
            var file = Path.Combine(data, "port-" + Guid.NewGuid().ToString("N") + ".json");
            var parent = Process.GetCurrentProcess().Id.ToString();
            var rest = new[] { "--port", "0", "--port-file", file, "--parent", parent, "--data", data };
            var all = string.Join(" ", arguments.Concat(rest).Select(Quote).ToArray());
            var process = Process.Start(new ProcessStartInfo(command, all) { UseShellExecute = false, CreateNoWindow = true });
            for (var end = DateTime.UtcNow.AddSeconds(seconds); !process.HasExited && DateTime.UtcNow < end; await Task.Delay(50))
            {
                if (!File.Exists(file)) continue;  // it is written in one step
                var told = JObject.Parse(File.ReadAllText(file));
                return new Sidecar(new Server((string)told["url"], (string)told["token"]), process);
            }
            if (!process.HasExited) process.Kill();
            throw new InvalidOperationException(command + " did not start; run it by hand to see why");
        }

        public void Dispose()
        {
            if (!Process.HasExited) Process.Kill();
        }

        /// <summary>As the C runtime of Windows, and .NET elsewhere, take an argument apart again.</summary>
        static string Quote(string argument)
        {
            if (argument != "" && argument.IndexOfAny(new[] { ' ', '\t', '"' }) < 0) return argument;
            var quoted = "\"";
            for (var at = 0; ; at++)
            {
                var slashes = 0;
                for (; at < argument.Length && argument[at] == '\\'; at++) slashes++;
                if (at == argument.Length) return quoted + new string('\\', 2 * slashes) + "\"";
                quoted += new string('\\', argument[at] == '"' ? 2 * slashes + 1 : slashes) + argument[at];
            }
        }
    }
}
