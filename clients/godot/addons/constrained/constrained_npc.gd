class_name ConstrainedNpc
extends Node
## A character in one conversation with [code]constrained serve[/code]. Add it to the scene, set [member pack], and [code]await[/code].
##
## [codeblock]
## var reply := await npc.say("Sixty gold for the cellar key?", {"state": {"gold": gold}})
## if reply.has("error"): return          # nothing was said: reply.error.message, reply.error.hint
## label.text = reply.text
## for effect in reply.effects: ...       # the game does them: effect.name, effect.args
## await npc.finish(reply, {"done": ["pay", "give"], "state": {"gold": gold}})
## [/codeblock]

## A reply came, from whichever call.
signal said(reply: Dictionary)

const RETRIED := [408, 429, 502, 503, 504]
const MOST_WAIT_S := 10.0

## Address of the server; [ConstrainedSidecar] fills it in.
@export var url := "http://127.0.0.1:8420"
## Its token. In a game that others download this is a sidecar's, or a customer's of one conversation; never one of a server of many.
@export var token := ""
@export var pack := ""
## Which conversation; one of a new name begins where it is empty.
@export var conversation := ""
## [code]hand_over[/code]: the game runs the effects and tells what became of them; [code]run[/code]: the server does.
@export_enum("hand_over", "run") var effects := "hand_over"
@export var timeout_s := 30.0
@export var attempts := 4

var _pending := {}


func _ready() -> void:
	if conversation.is_empty():
		conversation = new_key()


## The reply to a message: the fields of TurnReply, or [code]{"error": {...}, "status": ...}[/code].
## [param values]: state, done, failed, within, locale, engine, and key, the idempotency key, which is made where it is missing.
func say(message: String, values := {}) -> Dictionary:
	var body := {"pack": pack, "conversation": conversation, "message": message}
	if effects == "hand_over":
		body["effects"] = effects
	body.merge(values, true)
	var key: String = values.get("key", new_key())
	body.erase("key")
	body["idempotency_key"] = key
	_pending[key] = true
	var reply := await _ask(HTTPClient.METHOD_POST, "/v1/turns", body)
	_pending.erase(key)
	if not reply.has("error"):
		said.emit(reply)
	return reply


## Calls off a turn that was asked with [code]{"key": key}[/code]: whether it is not said. Its [method say] then gives an error.
func cancel(key: String) -> bool:
	while _pending.has(key):
		var answer := await _ask(HTTPClient.METHOD_DELETE, "%s/turns/%s" % [_path(), key])
		if not answer.has("error"):
			return true
		if answer.status != 404:
			return false  # it is kept: its reply comes
		await _pause(0.02)  # it is on its way there, or its reply is on its way here
	return false


## What the player may say by a press now: [code][{"id", "message"}, ...][/code].
func buttons(state := {}) -> Array:
	return (await preview("", state)).get("buttons", [])


func press(button: Dictionary, values := {}) -> Dictionary:
	return await say(button.message, values)


## What became of the effects of a reply. Gives what the character has to say to it, empty where that is nothing:
## then done, failed and state go with the next message.
func finish(reply: Dictionary, values: Dictionary) -> Dictionary:
	return await say("", values) if reply.get("goes_on", false) else {}


## What would be said to a message: text, decision.options with their probabilities, buttons. Nothing is kept.
func preview(message: String, state := {}) -> Dictionary:
	var body := {"pack": pack, "message": message}
	if not state.is_empty():
		body["state"] = state
	return await _ask(HTTPClient.METHOD_POST, _path() + "/preview", body)


## The conversation as one value, for the file of a saved game.
func save() -> Dictionary:
	return await _ask(HTTPClient.METHOD_GET, _path() + "/save")


## Goes on where the saved conversation stood, in a new one. Gives an error, or notes of what could not be kept as it was.
func restore(saved: Dictionary) -> Dictionary:
	var answer := await _ask(HTTPClient.METHOD_PUT, "/v1/conversations/%s/save" % new_key(), saved)
	if not answer.has("error"):
		pack = answer.pack
		conversation = answer.conversation
	return answer


static func new_key() -> String:
	return Crypto.new().generate_random_bytes(16).hex_encode()


func _path() -> String:
	return "/v1/conversations/%s" % conversation


## The answer's body. Sent again while the server is away or full: with its key a turn is taken once, however often it is sent.
func _ask(method: HTTPClient.Method, path: String, body: Variant = null) -> Dictionary:
	var headers := PackedStringArray(["Authorization: Bearer %s" % token, "Content-Type: application/json"])
	var text := "" if body == null else JSON.stringify(body, "", true, true)
	for number in range(1, attempts + 1):
		var request := HTTPRequest.new()
		request.timeout = timeout_s
		request.use_threads = OS.has_feature("threads")
		request.process_mode = Node.PROCESS_MODE_ALWAYS
		add_child(request)
		var answer: Array = [HTTPRequest.RESULT_CANT_CONNECT, 0, PackedStringArray(), PackedByteArray()]
		if request.request(url + path, headers, method, text) == OK:
			answer = await request.request_completed
		request.queue_free()
		var status: int = answer[1] if answer[0] == HTTPRequest.RESULT_SUCCESS else 0
		if status >= 200 and status < 300:
			return _object(answer[3]) if status != 204 else {}
		if number == attempts or (status != 0 and status not in RETRIED):
			return _refusal(status, answer[3])
		await _pause(minf(MOST_WAIT_S, maxf(_retry_after_s(answer[2]), 0.1 * 2.0 ** number)))
	return {}


func _refusal(status: int, body: PackedByteArray) -> Dictionary:
	var error: Dictionary = _object(body).get("error", {})
	if error.is_empty():
		var hint := "see that it runs; a turn may be sent again with its key" if status == 0 else "check the address"
		error = {"type": "unreachable", "message": "the server did not answer (%d)" % status, "hint": hint}
	return {"error": error, "status": status}


## JSON knows one kind of number, and Godot reads it as a float: whole ones are made int again, so that a value can be sent back as it came.
func _object(body: PackedByteArray) -> Dictionary:
	var found: Variant = _whole(JSON.parse_string(body.get_string_from_utf8()))
	return found if found is Dictionary else {}


func _whole(value: Variant) -> Variant:
	if value is float and is_finite(value) and value == floorf(value) and absf(value) < 9.0e15:
		return int(value)
	if value is Array:
		return value.map(_whole)
	if value is Dictionary:
		for key: Variant in value:
			value[key] = _whole(value[key])
	return value


func _retry_after_s(headers: PackedStringArray) -> float:
	for header in headers:
		if header.to_lower().begins_with("retry-after:"):
			return header.get_slice(":", 1).strip_edges().to_float()
	return 0.0


func _pause(seconds: float) -> void:
	await get_tree().create_timer(seconds, true, false, true).timeout
