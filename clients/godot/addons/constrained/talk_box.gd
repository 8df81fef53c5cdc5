extends PanelContainer
## A box to talk in: a line that the character says, a field to write in, a row of buttons. Effects are the game's: connect [signal wanted].

## The character has said something whose effects are to be done; call [method done] when they are.
signal wanted(reply: Dictionary)

@export var npc: ConstrainedNpc
## The facts of the game, as JSON values: set it whenever they change.
var state := {}
var _outcome := {}

@onready var _line: RichTextLabel = %Line
@onready var _field: LineEdit = %Field
@onready var _buttons: HFlowContainer = %Buttons


func _ready() -> void:
	_field.text_submitted.connect(talk)


func talk(message: String) -> void:
	_field.clear()
	_field.editable = false
	var values := {"state": state} if not state.is_empty() else {}
	values.merge(_outcome)
	_outcome = {}
	_show(await npc.say(message, values))


## What became of the effects of the last reply: names that were done, and that failed, with [member state] as it is now.
func done(reply: Dictionary, names: Array, failed := []) -> void:
	_outcome = {"done": names, "failed": failed}
	if reply.goes_on:
		_show(await npc.say("", {"state": state, "done": names, "failed": failed}))
		_outcome = {}


func show_buttons() -> void:
	for old in _buttons.get_children():
		old.queue_free()
	for one: Dictionary in await npc.buttons(state):
		var button := Button.new()
		button.text = one.message
		button.pressed.connect(talk.bind(one.message))
		_buttons.add_child(button)


func _show(reply: Dictionary) -> void:
	_field.editable = true
	_field.grab_focus()
	if reply.has("error"):
		push_warning("%s (%s)" % [reply.error.message, reply.error.hint])
		return
	_line.text = reply.text
	if not reply.effects.is_empty():
		wanted.emit(reply)
