// Plays the steps of ../../conformance.json: play.exe URL TOKEN FILE; with "sidecar" and a command, starts that and takes a turn.
using System;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using Constrained;
using Newtonsoft.Json.Linq;

static class Play
{
    static void Main(string[] arguments)
    {
        Run(arguments).GetAwaiter().GetResult();
    }

    static async Task Run(string[] arguments)
    {
        if (arguments[0] == "sidecar")
        {
            var sidecar = await Sidecar.Start(arguments[2], arguments.Skip(3).ToArray(), arguments[1]);
            var first = await sidecar.Server.Npc("tavern").Say("A room, please.", new TurnValues { State = new { gold = 80 } });
            Console.WriteLine(sidecar.Process.Id + " " + first.Number);
            Environment.Exit(0);
        }
        var server = new Server(arguments[0], arguments[1]);
        var asked = Server.FromJson<JObject>(File.ReadAllText(arguments[2]));
        var npc = server.Npc((string)asked["pack"]);
        Reply reply = null;
        string saved = null, said = "";
        var last = new TurnValues();
        foreach (JObject step in asked["steps"])
        {
            var values = Server.FromJson<TurnValues>(step.ToString());
            var message = (string)step["message"];
            switch ((string)step["do"])
            {
                case "say":
                    values.Key = Server.NewKey();
                    reply = await npc.Say(said = message, last = values);
                    Tell(Seen(reply));
                    break;
                case "again": Tell(Seen(await npc.Say(said, last))); break;
                case "press":
                    var button = (await npc.Buttons(values.State)).First(one => one.Id == (string)step["button"]);
                    Tell(Seen(await npc.Press(button, values)));
                    break;
                case "finish": Tell(Seen(await npc.Finish(reply, values))); break;
                case "preview": Tell(Seen(await npc.Preview(message))); break;
                case "save": Tell(new JObject { { "length", (saved = await npc.Save()).Length } }); break;
                case "load": await npc.Load(saved); Tell(new JObject()); break;
                case "cancel": Tell(new JObject { { "cancelled", await npc.Start(message, values).Cancel() } }); break;
                case "refused": Tell(new JObject { { "status", await Status(server.Npc((string)step["pack"])) } }); break;
            }
        }
    }

    static async Task<int> Status(Npc npc)
    {
        try
        {
            await npc.Say("hello");
            return 200;
        }
        catch (RefusedException refused)
        {
            return refused.Status;
        }
    }

    static JObject Seen(Reply reply)
    {
        var seen = JObject.FromObject(reply);
        seen["effects"] = new JArray(reply.Effects.Select(one => one.Call));
        return seen;
    }

    static void Tell(JObject seen)
    {
        Console.WriteLine(seen.ToString(Newtonsoft.Json.Formatting.None));
    }
}
