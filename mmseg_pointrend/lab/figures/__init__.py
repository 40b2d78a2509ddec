"""Pictures: how a scene is rendered, and which points the strategies choose."""
