"""What a part of a config is called."""


def type_name(config: dict) -> str:
    """Name the type of a part of a config, which may be a class, or a name with its scope."""
    return getattr(config["type"], "__name__", str(config["type"]).rpartition(".")[2])
