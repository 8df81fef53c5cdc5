using System.Collections.Generic;
using System.Linq;
using Constrained;
using UnityEngine;

/// <summary>An innkeeper who sells a key. Put it on an object, press Play, and type.</summary>
public class TavernTalk : MonoBehaviour
{
    public string command = "constrained";
    public string[] arguments = { "serve", "tavern", "--model", "small" };

    Sidecar _sidecar;
    Npc _brom;
    string _line = "...", _message = "";
    int _gold = 80;
    readonly List<string> _belt = new List<string>();
    TurnValues _outcome = new TurnValues();

    async void Start()
    {
        _sidecar = await Sidecar.Start(command, arguments, Application.persistentDataPath + "/constrained");
        _brom = _sidecar.Server.Npc("tavern");
    }

    void OnDestroy()
    {
        if (_sidecar != null) _sidecar.Dispose();
    }

    async void Talk(string message)
    {
        try
        {
            _outcome.State = new { gold = _gold, belt = _belt };
            var reply = await _brom.Say(message, _outcome);
            while (reply != null)
            {
                _line = reply.Text;
                _outcome = new TurnValues { Done = reply.Effects.Where(Do).Select(one => one.Name).ToList() };
                _outcome.State = new { gold = _gold, belt = _belt };
                reply = await _brom.Finish(reply, _outcome);
            }
        }
        catch (RefusedException refused)
        {
            Debug.LogWarning(refused.Message);
        }
    }

    /// <summary>Whether the game did it.</summary>
    bool Do(Effect effect)
    {
        if (effect.Name == "pay") _gold -= (int)effect.Args[0];
        else if (effect.Name == "give") _belt.Add((string)effect.Args[0]);
        else return false;
        return true;
    }

    void OnGUI()
    {
        GUILayout.Label(_line);
        _message = GUILayout.TextField(_message, 200);
        if (_brom != null && GUILayout.Button("Say") && _message != "")
        {
            Talk(_message);
            _message = "";
        }
    }
}
