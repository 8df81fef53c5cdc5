class_name ConstrainedSidecar
extends Node
## Starts the server with the game, on a free port, and ends it with the game: the server looks for the process that started it.
##
## Not for web exports, which start no processes.

## The server listens; [member url] and [member token] are set.
signal ready_to_talk
signal failed(why: String)

## What starts it: the packed executable beside the game, or [code]constrained[/code].
@export var command := "constrained"
## Its arguments, such as [code]serve tavern --model small[/code].
@export var arguments: PackedStringArray = ["serve", "tavern", "--model", "small"]
## Where conversations are kept.
@export var data := "user://constrained"
@export var seconds := 60.0

var url := ""
var token := ""
var pid := -1


func _ready() -> void:
	start()


func start() -> void:
	var folder := ProjectSettings.globalize_path(data)
	var port_file := folder.path_join("port-%d.json" % OS.get_process_id())
	DirAccess.make_dir_recursive_absolute(folder)
	var rest := ["--port", "0", "--port-file", port_file, "--parent", str(OS.get_process_id()), "--data", folder]
	pid = OS.create_process(command, arguments + PackedStringArray(rest))
	if pid == -1:
		failed.emit("%s cannot be started" % command)
		return
	var end := Time.get_ticks_msec() + int(1000 * seconds)
	while Time.get_ticks_msec() < end and OS.is_process_running(pid):
		var found: Variant = JSON.parse_string(FileAccess.get_file_as_string(port_file)) if FileAccess.file_exists(port_file) else null
		if found is Dictionary:
			url = found.url
			token = found.token
			ready_to_talk.emit()
			return
		await get_tree().create_timer(0.05, true, false, true).timeout
	failed.emit("%s %s did not start" % [command, " ".join(arguments)])
	stop()


func stop() -> void:
	if pid != -1 and OS.is_process_running(pid):
		OS.kill(pid)
	pid = -1


## Gives the address to a character.
func serve(npc: ConstrainedNpc) -> void:
	npc.url = url
	npc.token = token


func _exit_tree() -> void:
	stop()
