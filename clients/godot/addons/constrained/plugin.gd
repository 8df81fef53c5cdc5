@tool
extends EditorPlugin
## The add-on is two nodes and a scene; the classes register themselves, so there is nothing to do here.
