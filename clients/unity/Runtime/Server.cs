// A client of `constrained serve` without anything of UnityEngine: .NET Standard 2.0 and Newtonsoft.Json.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace Constrained
{
    /// <summary>What the server said in place of a reply: nothing was said. Status is HTTP's, 0 where no answer came.</summary>
    public class RefusedException : Exception
    {
        public readonly int Status;
        public readonly string Hint;

        public RefusedException(int status, string message, string hint) : base(hint == "" ? message : message + " (" + hint + ")")
        {
            Status = status;
            Hint = hint;
        }
    }

    /// <summary>One answer. Status 0: none came, and Body says why.</summary>
    public struct Answer
    {
        public int Status;
        public string Body;
        public double RetryAfterS;
    }

    /// <summary>Sends one request. HttpTransport does for desktop and phones; WebRequestTransport for WebGL, too.</summary>
    public interface ITransport
    {
        Task<Answer> Send(string method, string url, string token, string body, CancellationToken cancel);
    }

    public class HttpTransport : ITransport
    {
        static readonly HttpClient Http = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };

        public async Task<Answer> Send(string method, string url, string token, string body, CancellationToken cancel)
        {
            using (var request = new HttpRequestMessage(new HttpMethod(method), url))
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
                if (body != null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
                try
                {
                    using (var answer = await Http.SendAsync(request, cancel).ConfigureAwait(false))
                    {
                        var text = await answer.Content.ReadAsStringAsync().ConfigureAwait(false);
                        var retry = answer.Headers.RetryAfter == null ? null : answer.Headers.RetryAfter.Delta;
                        return new Answer { Status = (int)answer.StatusCode, Body = text, RetryAfterS = retry.HasValue ? retry.Value.TotalSeconds : 0 };
                    }
                }
                catch (Exception error) when ((error is HttpRequestException || error is TaskCanceledException) && !cancel.IsCancellationRequested)
                {
                    return new Answer { Status = 0, Body = error.Message };
                }
            }
        }
    }

    /// <summary>One server.</summary>
    public class Server
    {
        static readonly HashSet<int> Retried = new HashSet<int> { 0, 408, 429, 502, 503, 504 };
        static readonly JsonSerializerSettings Json = new JsonSerializerSettings
        {
            DateParseHandling = DateParseHandling.None,  // a text that looks like a date stays a text
        };

        public readonly string Url;
        public readonly string Token;
        /// <summary>hand_over: the game runs the effects and tells what became of them; run: the server does.</summary>
        public string Effects = "hand_over";
        public int Attempts = 4;
        readonly ITransport _transport;

        /// <param name="token">A sidecar's or a customer's; a game that others download holds no other.</param>
        public Server(string url, string token, ITransport transport = null)
        {
            Url = url.TrimEnd('/');
            Token = token;
            _transport = transport ?? new HttpTransport();
        }

        /// <summary>A character, in a conversation of its own unless one is named.</summary>
        public Npc Npc(string pack, string conversation = null)
        {
            return new Npc(this, pack, conversation ?? NewKey());
        }

        public static string NewKey()
        {
            return Guid.NewGuid().ToString("N");
        }

        public static string ToJson(object value)
        {
            return JsonConvert.SerializeObject(value, Json);
        }

        public static T FromJson<T>(string text)
        {
            return JsonConvert.DeserializeObject<T>(text, Json);
        }

        /// <summary>The answer's body. Sent again while the server is away or full: with its key a turn is taken once, however often it is sent.</summary>
        public async Task<string> Ask(string method, string path, string body = null, CancellationToken cancel = default(CancellationToken))
        {
            for (var number = 1; ; number++)
            {
                var answer = await _transport.Send(method, Url + path, Token, body, cancel);
                if (answer.Status >= 200 && answer.Status < 300) return answer.Body;
                if (number >= Attempts || !Retried.Contains(answer.Status)) throw Refusal(answer);
                var pause = Math.Min(10, Math.Max(answer.RetryAfterS, 0.1 * Math.Pow(2, number)));
                await Pause(pause, cancel);
            }
        }

        /// <summary>Waits. WebGL has no timers of its own: WebRequestTransport puts another wait here.</summary>
        public Func<double, CancellationToken, Task> Pause = (seconds, cancel) => Task.Delay(TimeSpan.FromSeconds(seconds), cancel);

        static RefusedException Refusal(Answer answer)
        {
            try
            {
                var error = JObject.Parse(answer.Body)["error"];
                return new RefusedException(answer.Status, (string)error["message"], (string)error["hint"] ?? "");
            }
            catch (Exception)  // no JSON of ours: another server's page, or no answer at all
            {
                var status = answer.Status.ToString(CultureInfo.InvariantCulture);
                var said = answer.Status == 0 ? "the server did not answer: " + answer.Body : "answered " + status + ", not by this server";
                return new RefusedException(answer.Status, said, "see that it runs; a turn may be sent again with its key");
            }
        }
    }
}
