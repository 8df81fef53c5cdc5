extends Control
## The innkeeper in a box: the server starts with the game, the game does what he wants done.

var gold := 80
var belt := []

@onready var sidecar: ConstrainedSidecar = $Sidecar
@onready var npc: ConstrainedNpc = $Npc
@onready var box: PanelContainer = $TalkBox


func _ready() -> void:
	box.state = {"gold": gold}
	box.wanted.connect(_do)
	sidecar.failed.connect(func(why: String) -> void: push_error(why))
	await sidecar.ready_to_talk
	sidecar.serve(npc)
	box.show_buttons()


func _do(reply: Dictionary) -> void:
	for effect: Dictionary in reply.effects:
		match effect.name:
			"pay":
				gold -= effect.args[0]
			"give":
				belt.append(effect.args[0])
	box.state = reply.state_before.merged({"gold": gold, "belt": belt}, true)
	box.done(reply, reply.effects.map(func(effect: Dictionary) -> String: return effect.name))
