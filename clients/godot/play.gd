extends Node
## Plays the steps of conformance.json against a server, and prints what it sees, a line of JSON for each. For tests:
## the project's main scene, with url, token, pack and steps in [code]res://play.json[/code].


func _ready() -> void:
	var asked: Dictionary = JSON.parse_string(FileAccess.get_file_as_string("res://play.json"))
	var npc := ConstrainedNpc.new()
	npc.url = asked.url
	npc.token = asked.token
	npc.pack = asked.pack
	add_child(npc)
	var last := []
	var reply := {}
	var saved := {}
	for step: Dictionary in asked.steps:
		var values := {}
		for name_of_value: String in ["state", "done", "failed"]:
			if step.has(name_of_value):
				values[name_of_value] = step[name_of_value]
		match step.do:
			"say":
				last = [step.message, values.merged({"key": ConstrainedNpc.new_key()})]
				reply = await npc.say(last[0], last[1])
				_tell(reply)
			"again":
				_tell(await npc.say(last[0], last[1]))
			"press":
				for button: Dictionary in await npc.buttons(step.state):
					if button.id == step.button:
						_tell(await npc.press(button, values))
			"finish":
				_tell(await npc.finish(reply, values))
			"preview":
				_tell(await npc.preview(step.message))
			"save":
				saved = await npc.save()
				print("{}")
			"load":
				print(JSON.stringify(await npc.restore(saved)))
			"cancel":
				var key := ConstrainedNpc.new_key()
				npc.say(step.message, values.merged({"key": key}))
				print(JSON.stringify({"cancelled": await npc.cancel(key)}))
			"refused":
				npc.pack = step.pack
				print(JSON.stringify({"status": (await npc.say("hello")).get("status")}))
	await _play_in_the_box(npc, asked.pack)
	print("played")
	get_tree().quit()


## The scene with the box: one line by its field, one by a button.
func _play_in_the_box(npc: ConstrainedNpc, pack: String) -> void:
	npc.pack = pack
	npc.conversation = ConstrainedNpc.new_key()
	var box: PanelContainer = preload("res://addons/constrained/talk_box.tscn").instantiate()
	box.npc = npc
	box.state = {"gold": 80}
	add_child(box)
	var wanted := []
	box.wanted.connect(
		func(reply: Dictionary) -> void:
			wanted.append_array(reply.effects.map(func(effect: Dictionary) -> String: return effect.name))
			box.state = {"gold": 30, "belt": ["cellar key"]}
			box.done(reply, wanted)
	)
	for message: String in ["Good evening.", "Sixty gold for the cellar key, old man?", "Is that key mine now?"]:
		await box.talk(message)
	var line: String = box.get_node("%Line").text
	await box.show_buttons()
	var demo: PackedScene = load("res://demo.tscn")  # its scripts, the sidecar among them, are compiled here and not run
	print("box ", JSON.stringify([line, wanted, box.get_node("%Buttons").get_child_count() > 3 and demo.can_instantiate()]))


func _tell(reply: Dictionary) -> void:
	var seen := reply.duplicate()
	seen["effects"] = reply.get("effects", []).map(func(effect: Dictionary) -> String: return effect.call)
	for large: String in ["decision", "record", "heard", "blocked"]:
		seen.erase(large)
	print(JSON.stringify(seen))
