# An evening with an innkeeper who says approved lines only. Copy what you need; jump to constrained_sample to try it.

init python:
    import constrained_npc

    TAVERN = ["constrained", "serve", "tavern", "--model", "small"]  # or the packed executable: [config.basedir + "/tavern/serve"]

define b = Character("Brom")

default brom = None
default brom_saved = None
default purse = 80
default belt = []
default done = []

label constrained_sample:
    if not constrained_npc.SERVER["url"]:
        $ constrained_npc.start_sidecar(TAVERN, config.savedir + "/constrained")
    $ brom = constrained_npc.Npc("tavern")
    "Brom polishes a mug and waits."

label constrained_talk:
    $ message = renpy.input("Say something, or nothing to leave:").strip()
    if not message:
        return
    $ reply = brom.say(message, done=done, state={"gold": purse, "belt": belt})

label constrained_reply:
    if reply["voices"] and renpy.loadable("voice/%s.ogg" % reply["voices"][-1]):
        $ voice("voice/%s.ogg" % reply["voices"][-1])
    $ said = reply["text"]
    b "[said!q]"
    python:
        done = []
        for effect in reply["effects"]:
            if effect["name"] == "pay":
                purse -= effect["args"][0]
                done.append("pay")
            elif effect["name"] == "give":
                belt = belt + [effect["args"][0]]
                done.append("give")
        brom_saved = brom.save()
        renpy.block_rollback()  # what was said to the server stays said
        reply = brom.finish(reply, done=done, state={"gold": purse, "belt": belt})
    if reply:
        jump constrained_reply
    jump constrained_talk

label after_load:
    if brom_saved:
        if not constrained_npc.SERVER["url"]:
            $ constrained_npc.start_sidecar(TAVERN, config.savedir + "/constrained")
        $ brom.load(brom_saved)
    return
