using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace Constrained
{
    /// <summary>What the game does: Call is how it is written, pay(50).</summary>
    public class Effect
    {
        [JsonProperty("name")] public string Name;
        [JsonProperty("args")] public List<JToken> Args;
        [JsonProperty("kwargs")] public JObject Kwargs;
        [JsonProperty("call")] public string Call;
    }

    /// <summary>A response that was allowed; Probability is null where no model was asked.</summary>
    public class Option
    {
        [JsonProperty("id")] public string Id;
        [JsonProperty("text")] public string Text;
        [JsonProperty("line")] public string Line;
        [JsonProperty("probability")] public double? Probability;
    }

    public class Decision
    {
        [JsonProperty("options")] public List<Option> Options;
        [JsonProperty("chosen")] public string Chosen;
        [JsonProperty("mode")] public string Mode;
        [JsonProperty("why")] public string Why;
    }

    /// <summary>A turn as it was released. Text is the catalog's, byte for byte; Voices are keys of its recordings.</summary>
    public class Reply
    {
        [JsonProperty("turn_id")] public string TurnId;
        [JsonProperty("conversation")] public string Conversation;
        [JsonProperty("number")] public int Number;
        [JsonProperty("response_id")] public string ResponseId;
        [JsonProperty("text")] public string Text;
        [JsonProperty("voices")] public List<string> Voices = new List<string>();
        [JsonProperty("effects")] public List<Effect> Effects = new List<Effect>();
        [JsonProperty("source")] public string Source;
        [JsonProperty("decision")] public Decision Decision;
        [JsonProperty("offered")] public List<string> Offered = new List<string>();
        [JsonProperty("goes_on")] public bool GoesOn;
        [JsonProperty("is_repeat")] public bool IsRepeat;
        [JsonProperty("state_before")] public JObject StateBefore;
        [JsonProperty("state_after")] public JObject StateAfter;
    }

    /// <summary>A message that the player can say by a press.</summary>
    public class Button
    {
        [JsonProperty("id")] public string Id;
        [JsonProperty("message")] public string Message;
    }

    /// <summary>The turn that a message would be; nothing was kept.</summary>
    public class Preview : Reply
    {
        [JsonProperty("buttons")] public List<Button> Buttons = new List<Button>();
    }

    /// <summary>What goes with a message. Key is the idempotency key, made where it is missing.</summary>
    public class TurnValues
    {
        [JsonProperty("state", NullValueHandling = NullValueHandling.Ignore)] public object State;
        [JsonProperty("done", NullValueHandling = NullValueHandling.Ignore)] public List<string> Done;
        [JsonProperty("failed", NullValueHandling = NullValueHandling.Ignore)] public List<string> Failed;
        [JsonProperty("within", NullValueHandling = NullValueHandling.Ignore)] public double? Within;
        [JsonProperty("locale", NullValueHandling = NullValueHandling.Ignore)] public string Locale;
        [JsonProperty("engine", NullValueHandling = NullValueHandling.Ignore)] public string Engine;
        [JsonIgnore] public string Key;
    }

    /// <summary>A turn that is being taken.</summary>
    public class Pending
    {
        public Task<Reply> Reply;
        /// <summary>Calls it off: whether it is not said. Reply ends with a RefusedException then.</summary>
        public Func<Task<bool>> Cancel;
    }

    /// <summary>A character in one conversation.</summary>
    public class Npc
    {
        public string Pack { get; private set; }
        public string Conversation { get; private set; }
        readonly Server _server;

        public Npc(Server server, string pack, string conversation)
        {
            _server = server;
            Pack = pack;
            Conversation = conversation;
        }

        string Path { get { return "/v1/conversations/" + Uri.EscapeDataString(Conversation); } }

        /// <summary>The reply to a message. The token stops the wait only; see Start.</summary>
        public async Task<Reply> Say(string message, TurnValues values = null, CancellationToken cancel = default(CancellationToken))
        {
            values = values ?? new TurnValues();
            var body = JObject.Parse(Server.ToJson(values));
            body["pack"] = Pack;
            body["conversation"] = Conversation;
            body["message"] = message;
            body["idempotency_key"] = values.Key ?? Server.NewKey();
            if (_server.Effects == "hand_over") body["effects"] = _server.Effects;
            return Server.FromJson<Reply>(await _server.Ask("POST", "/v1/turns", body.ToString(Formatting.None), cancel));
        }

        /// <summary>A turn that can be called off while it is taken.</summary>
        public Pending Start(string message, TurnValues values = null)
        {
            values = values ?? new TurnValues();
            var key = values.Key = values.Key ?? Server.NewKey();
            var reply = Say(message, values);
            return new Pending { Reply = reply, Cancel = () => CallOff(reply, key) };
        }

        async Task<bool> CallOff(Task<Reply> reply, string key)
        {
            while (!reply.IsCompleted)
            {
                try
                {
                    await _server.Ask("DELETE", Path + "/turns/" + key);
                    return true;
                }
                catch (RefusedException refused)
                {
                    if (refused.Status != 404) return false;  // it is kept: its reply comes
                }
                await _server.Pause(0.02, CancellationToken.None);  // it is on its way there, or its reply is on its way here
            }
            return false;
        }

        /// <summary>What the player may say by a press now.</summary>
        public async Task<List<Button>> Buttons(object state = null)
        {
            return (await Preview("", state)).Buttons;
        }

        public Task<Reply> Press(Button button, TurnValues values = null)
        {
            return Say(button.Message, values);
        }

        /// <summary>What there is to say to what became of the effects, or null: then it goes with the next message.</summary>
        public async Task<Reply> Finish(Reply reply, TurnValues values)
        {
            return reply.GoesOn ? await Say("", values) : null;
        }

        /// <summary>What would be said to a message: options with their probabilities, buttons. Nothing is kept.</summary>
        public async Task<Preview> Preview(string message, object state = null)
        {
            var body = JObject.Parse(Server.ToJson(new TurnValues { State = state }));
            body["pack"] = Pack;
            body["message"] = message;
            return Server.FromJson<Preview>(await _server.Ask("POST", Path + "/preview", body.ToString(Formatting.None)));
        }

        /// <summary>The conversation as one JSON text, for the file of a saved game.</summary>
        public Task<string> Save()
        {
            return _server.Ask("GET", Path + "/save");
        }

        /// <summary>Goes on where the saved conversation stood, in a new one. Gives what could not be kept as it was.</summary>
        public async Task<List<string>> Load(string saved)
        {
            var loaded = JObject.Parse(await _server.Ask("PUT", "/v1/conversations/" + Server.NewKey() + "/save", saved));
            Pack = (string)loaded["pack"];
            Conversation = (string)loaded["conversation"];
            return loaded["notes"].ToObject<List<string>>();
        }
    }
}
