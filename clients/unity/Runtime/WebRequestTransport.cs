using System;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using UnityEngine;
using UnityEngine.Networking;

namespace Constrained
{
    /// <summary>Sends by UnityWebRequest: for WebGL, where the page's origin must be named with --origin.</summary>
    public class WebRequestTransport : ITransport
    {
        /// <summary>A server that is asked in this way; its waits go by frames, since WebGL has no other timers.</summary>
        public static Server Server(string url, string token)
        {
            return new Server(url, token, new WebRequestTransport()) { Pause = Frames };
        }

        public async Task<Answer> Send(string method, string url, string token, string body, CancellationToken cancel)
        {
            using (var request = new UnityWebRequest(url, method))
            {
                request.downloadHandler = new DownloadHandlerBuffer();
                if (body != null) request.uploadHandler = new UploadHandlerRaw(Encoding.UTF8.GetBytes(body));
                request.SetRequestHeader("Authorization", "Bearer " + token);
                request.SetRequestHeader("Content-Type", "application/json");
                request.timeout = 30;
                request.SendWebRequest();
                while (!request.isDone)
                {
                    if (cancel.IsCancellationRequested) request.Abort();
                    cancel.ThrowIfCancellationRequested();
                    await Task.Yield();
                }
                double retry;
                double.TryParse(request.GetResponseHeader("Retry-After"), out retry);
                var status = (int)request.responseCode;
                return new Answer { Status = status, Body = status == 0 ? request.error : request.downloadHandler.text, RetryAfterS = retry };
            }
        }

        static async Task Frames(double seconds, CancellationToken cancel)
        {
            for (var end = Time.realtimeSinceStartup + seconds; Time.realtimeSinceStartup < end; await Task.Yield())
                cancel.ThrowIfCancellationRequested();
        }
    }
}
